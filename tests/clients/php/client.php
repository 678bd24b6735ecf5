<?php
// PHP: pg_* functions (text, pg_query_params, asynchronous cancel, meta data) and PDO with prepared statements of the server.
$matrix = json_decode(file_get_contents('../matrix.json'), true);

function equal($read, $expected, string $what): void {
    if ($read !== $expected) {
        fwrite(STDERR, "PHP: $what: read " . json_encode($read) . ', expected ' . json_encode($expected) . "\n");
        exit(1);
    }
}

$connection = pg_connect(sprintf('host=%s port=%s user=%s password=%s dbname=%s sslmode=require',
    ...array_map('getenv', ['PGHOST', 'PGPORT', 'PGUSER', 'PGPASSWORD', 'PGDATABASE'])));
foreach ($matrix['values'] as $case) {
    $type = $case['type'];
    $result = pg_query_params($connection, "SELECT \$1::$type::text, \$2::$type", [$case['text'], null]);
    equal(pg_fetch_row($result), [$case['text'], null], $type);
}
foreach ($matrix['queries'] as $case) {
    $result = pg_query_params($connection, $case['sql'], array_column($case['parameters'], 'text'));
    $rows = [];
    while ($row = pg_fetch_row($result)) $rows[] = $row;
    equal($rows, $case['rows'], $case['what']);
}
function fails($connection, string $sql, string $state): void {
    pg_send_query($connection, $sql);
    $result = pg_get_result($connection);
    equal(pg_result_error_field($result, PGSQL_DIAG_SQLSTATE), $state, $sql);
    while (pg_get_result($connection)) {
    }
}
foreach ($matrix['errors'] as $case) fails($connection, $case['sql'], $case['sqlstate']);

$described = pg_query($connection, $matrix['described']['sql']);
$columns = [];
for ($i = 0; $i < pg_num_fields($described); $i++) $columns[] = [pg_field_name($described, $i), (int) pg_field_type_oid($described, $i)];
equal($columns, $matrix['described']['columns'], 'columns');
equal(pg_num_rows($described), $matrix['described']['rows'], 'rows');
equal(pg_field_type($described, 0), 'int8', 'the name of a type');
$meta = pg_meta_data($connection, 'matrix.kinds');
equal(array_keys($meta), array_column($matrix['described']['columns'], 0), 'pg_meta_data');
equal($meta['id']['not null'], true, 'pg_meta_data');

pg_query($connection, 'BEGIN');
fails($connection, 'SELECT 1/0', '22012');
fails($connection, 'SELECT 1', '25P02');
pg_query($connection, 'ROLLBACK');
equal(pg_copy_to($connection, '(SELECT id, name FROM matrix.kinds WHERE id > 1 ORDER BY id)'), ["2\t\n", "3\t\\N\n"], 'COPY TO');

pg_send_query($connection, $matrix['endless']);
usleep(500000);
equal(pg_connection_busy($connection), true, 'the query runs');
equal(pg_cancel_query($connection), true, 'cancel');
equal(pg_fetch_row(pg_query($connection, 'SELECT 1')), ['1'], 'after the cancel');

$pdo = new PDO(sprintf('pgsql:host=%s;port=%s;dbname=%s;sslmode=require', getenv('PGHOST'), getenv('PGPORT'), getenv('PGDATABASE')),
    getenv('PGUSER'), getenv('PGPASSWORD'), [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
foreach ([false, true] as $emulated) {
    $pdo->setAttribute(PDO::ATTR_EMULATE_PREPARES, $emulated);
    foreach ($matrix['queries'] as $case) {
        $statement = $pdo->prepare(preg_replace('/\$\d+/', '?', $case['sql']));
        $statement->execute(array_column($case['parameters'], 'text'));
        equal($statement->fetchAll(PDO::FETCH_NUM), $case['rows'], 'PDO: ' . $case['what']);
    }
}
$pdo->exec('DROP SCHEMA IF EXISTS matrix_php CASCADE');
$pdo->exec('CREATE SCHEMA matrix_php');
$pdo->exec('CREATE TABLE matrix_php.t (id bigint, name text)');
$insert = $pdo->prepare('INSERT INTO matrix_php.t VALUES (?, ?)');
foreach ([[1, 'one'], [2, null]] as $row) equal($insert->execute($row), true, 'insert');
equal($pdo->query('SELECT id, name FROM matrix_php.t ORDER BY id')->fetchAll(PDO::FETCH_NUM), [[1, 'one'], [2, null]], 'what was written');
$pdo->exec('DROP SCHEMA matrix_php CASCADE');
try {
    $pdo->query('SELECT nothing');
    equal(false, true, 'PDO: an error was lost');
} catch (PDOException $error) {
    equal($error->getCode(), '42703', 'PDO: SQLSTATE');
}
$pdo->beginTransaction();
equal($pdo->query('SELECT 1')->fetchColumn(), 1, 'PDO: in a transaction');
$pdo->rollBack();
echo 'PHP passed ', PHP_VERSION, ' libpq ', pg_version($connection)['client'], "\n";
