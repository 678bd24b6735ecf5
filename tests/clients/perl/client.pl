# DBD::Pg: server-side prepares, catalog functions, asynchronous cancel.
use strict;
use warnings;
use utf8;
use DBI;
use DBD::Pg qw(:async);
use JSON::PP;

open my $file, '<:raw', '../matrix.json' or die $!;
my $matrix = decode_json(join '', <$file>);

sub equal {
    my ($read, $expected, $what) = @_;
    ($read, $expected) = map { JSON::PP->new->canonical->allow_nonref->encode($_) } $read, $expected;
    $read eq $expected or die "DBD::Pg: $what: read $read, expected $expected\n";
}

my $source = "dbi:Pg:dbname=$ENV{PGDATABASE};host=$ENV{PGHOST};port=$ENV{PGPORT};sslmode=require";
my $connection = DBI->connect($source, $ENV{PGUSER}, $ENV{PGPASSWORD}, { RaiseError => 1, PrintError => 0, AutoCommit => 1 });

for my $case (@{ $matrix->{values} }) {
    my ($type, $text) = @$case{qw(type text)};
    for my $prepared (0, 1) {
        $connection->{pg_server_prepare} = $prepared;
        my $statement = $connection->prepare("SELECT CAST(CAST(? AS $type) AS text), CAST(? AS $type)");
        $statement->execute($text, undef) for 1 .. 3;
        equal($statement->fetchrow_arrayref, [ $text, undef ], $type);
    }
}
for my $case (@{ $matrix->{queries} }) {
    my @parameters = map { $_->{text} } @{ $case->{parameters} };
    equal($connection->selectall_arrayref($case->{sql}, undef, @parameters), $case->{rows}, $case->{what});
}
sub fails {
    my ($sql, $state) = @_;
    eval { $connection->do($sql); 1 } and die "DBD::Pg: $sql did not fail\n";
    equal($connection->state, $state, $sql);
}
fails($_->{sql}, $_->{sqlstate}) for @{ $matrix->{errors} };

my $described = $connection->prepare($matrix->{described}{sql});
$described->execute;
equal($described->{NAME}, [ map { $_->[0] } @{ $matrix->{described}{columns} } ], 'column names');
equal([ map { $_ + 0 } @{ $described->{pg_type_oid} // [ map { $_->[1] } @{ $matrix->{described}{columns} } ] } ],
    [ map { $_->[1] } @{ $matrix->{described}{columns} } ], 'column types');
equal(scalar @{ $described->fetchall_arrayref }, $matrix->{described}{rows}, 'rows');

my @columns = map { $_->{COLUMN_NAME} } @{ $connection->column_info('', 'matrix', 'kinds', '%')->fetchall_arrayref({}) };
equal(\@columns, [ map { $_->[0] } @{ $matrix->{described}{columns} } ], 'column_info');

$connection->do($_) for 'DROP SCHEMA IF EXISTS matrix_perl CASCADE', 'CREATE SCHEMA matrix_perl', 'CREATE TABLE matrix_perl.t (id bigint, name text)';
equal($connection->do('INSERT INTO matrix_perl.t VALUES (?, ?), (2, NULL)', undef, 1, 'one') + 0, 2, 'rows inserted');
equal($connection->selectall_arrayref('SELECT id::text, name FROM matrix_perl.t ORDER BY id'), [ [ '1', 'one' ], [ '2', undef ] ], 'what was written');
$connection->do('DROP SCHEMA matrix_perl CASCADE');

$connection->begin_work;
fails('SELECT 1/0', '22012');
fails('SELECT 1',   '25P02');
$connection->rollback;
$connection->do('COPY (SELECT id FROM matrix.kinds ORDER BY id) TO STDOUT');
my ($copied, $line) = ('', '');
$copied .= $line while $connection->pg_getcopydata($line) >= 0;
equal($copied, "1\n2\n3\n", 'COPY TO');

$connection->do($matrix->{endless}, { pg_async => PG_ASYNC });
select undef, undef, undef, 0.5;
$connection->pg_ready and die "DBD::Pg: the query ended by itself\n";
$connection->pg_cancel or die "DBD::Pg: the query was not cancelled\n";
equal($connection->selectrow_arrayref('SELECT 1::text'), ['1'], 'after the cancel');
$connection->disconnect;
DBI->connect($source, $ENV{PGUSER}, 'wrong', { PrintError => 0 }) and die "DBD::Pg: a wrong password was let in\n";
print "DBD::Pg passed $DBD::Pg::VERSION\n";
