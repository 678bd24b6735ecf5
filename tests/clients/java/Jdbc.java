import com.google.gson.*;
import java.io.*;
import java.nio.file.*;
import java.sql.*;
import java.util.*;
import org.postgresql.*;

/** pgjdbc: all query modes, binary transfer, fetch size, batches, autosave, meta data, COPY, cancel, errors. */
public class Jdbc {
    static JsonObject matrix;

    static void check(boolean condition, String what) {
        if (!condition) throw new AssertionError("pgjdbc: " + what);
    }

    static void equal(Object read, Object expected, String what) {
        check(Objects.equals(read, expected), what + ": read " + read + ", expected " + expected);
    }

    static Connection connect(String more) throws SQLException {
        return connect(more, System.getenv("PGPASSWORD"));
    }

    static Connection connect(String more, String password) throws SQLException {
        var env = System.getenv();
        var url = "jdbc:postgresql://%s:%s/%s?sslmode=require&%s".formatted(env.get("PGHOST"), env.get("PGPORT"), env.get("PGDATABASE"), more);
        return DriverManager.getConnection(url, env.get("PGUSER"), password);
    }

    static String text(JsonElement element) {
        return element.isJsonNull() ? null : element.getAsString();
    }

    static String field(JsonElement object, String name) {
        return text(object.getAsJsonObject().get(name));
    }

    static Object one(Connection connection, String sql, Object... parameters) throws SQLException {
        try (var statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < parameters.length; i++) statement.setObject(i + 1, parameters[i]);
            try (var rows = statement.executeQuery()) {
                check(rows.next(), sql);
                return rows.getObject(1);
            }
        }
    }

    static void fails(Connection connection, String sql, String state) throws SQLException {
        try (var statement = connection.createStatement()) {
            statement.execute(sql);
            check(false, sql + " did not fail");
        } catch (SQLException error) {
            check(state.equals(error.getSQLState()), sql + ": " + error.getSQLState() + " " + error.getMessage());
        }
    }

    static Object comparable(Object value) throws SQLException {
        if (value instanceof byte[] bytes) return HexFormat.of().formatHex(bytes);
        if (value instanceof java.sql.Array array) return Arrays.asList((Object[]) array.getArray());
        return value;
    }

    /** Each value is read, sent back as it was read, and must come out the same; the prepare threshold of 5 lies in between. */
    static void values(Connection connection) throws SQLException {
        for (var value : matrix.getAsJsonArray("values")) {
            String type = field(value, "type"), text = field(value, "text");
            var read = one(connection, "SELECT '" + text.replace("'", "''") + "'::" + type);
            // java.sql.Time ends at milliseconds; java.time has them all.
            if (type.equals("time")) read = java.time.LocalTime.parse(text);
            try (var statement = connection.prepareStatement("SELECT ?::" + type + ", ?::" + type + "::text, ?::" + type)) {
                for (int run = 0; run < 8; run++) {
                    statement.setObject(1, read);
                    statement.setObject(2, read);
                    statement.setNull(3, Types.OTHER);
                    try (var rows = statement.executeQuery()) {
                        rows.next();
                        var again = type.equals("time") ? rows.getObject(1, java.time.LocalTime.class) : rows.getObject(1);
                        equal(comparable(again), comparable(read), type);
                        if (!type.startsWith("interval")) equal(rows.getString(2), text, type + " as text");
                        equal(rows.getObject(3), null, type + ": NULL");
                    }
                }
            }
        }
    }

    static void queries(Connection connection) throws SQLException {
        for (var query : matrix.getAsJsonArray("queries")) {
            var expected = new ArrayList<List<String>>();
            for (var row : query.getAsJsonObject().getAsJsonArray("rows")) {
                var cells = new ArrayList<String>();
                for (var cell : row.getAsJsonArray()) cells.add(text(cell));
                expected.add(cells);
            }
            try (var statement = connection.prepareStatement(field(query, "sql").replaceAll("\\$\\d+", "?"))) {
                int index = 1;
                for (var parameter : query.getAsJsonObject().getAsJsonArray("parameters")) {
                    if (field(parameter, "type").equals("bigint")) statement.setLong(index++, Long.parseLong(field(parameter, "text")));
                    else statement.setString(index++, field(parameter, "text"));
                }
                for (int run = 0; run < 6; run++) {
                    var read = new ArrayList<List<String>>();
                    try (var rows = statement.executeQuery()) {
                        while (rows.next()) {
                            var cells = new ArrayList<String>();
                            for (int i = 1; i <= rows.getMetaData().getColumnCount(); i++) cells.add(rows.getString(i));
                            read.add(cells);
                        }
                    }
                    equal(read, expected, field(query, "what"));
                }
            }
        }
    }

    static List<String> list(ResultSet rows, String... names) throws SQLException {
        var read = new ArrayList<String>();
        try (rows) {
            while (rows.next()) {
                var cells = new ArrayList<String>();
                for (var name : names) cells.add(rows.getString(name));
                read.add(String.join(" ", cells));
            }
        }
        return read;
    }

    static void metaData(Connection connection) throws SQLException {
        var meta = connection.getMetaData();
        equal(meta.getDatabaseProductName(), "PostgreSQL", "product");
        var tables = list(meta.getTables(null, "matrix", "%", new String[] {"TABLE", "VIEW"}), "TABLE_NAME", "TABLE_TYPE");
        equal(new TreeSet<>(tables), new TreeSet<>(List.of("kinds TABLE", "named VIEW")), "getTables");
        check(list(meta.getTables(null, null, "kinds", null), "REMARKS").contains("one column a type"), "remarks");
        var columns = list(meta.getColumns(null, "matrix", "kinds", "%"), "COLUMN_NAME", "TYPE_NAME", "NULLABLE", "COLUMN_SIZE");
        equal(columns.size(), matrix.getAsJsonObject("described").getAsJsonArray("columns").size(), "getColumns");
        equal(columns.get(0), "id int8 0 19", "getColumns");
        equal(columns.get(6), "amount numeric 1 12", "getColumns");
        var schemas = list(meta.getSchemas(), "TABLE_SCHEM");
        check(schemas.containsAll(List.of("matrix", "public", "pg_catalog", "information_schema")), "schemas " + schemas);
        equal(list(meta.getPrimaryKeys(null, "matrix", "kinds"), "COLUMN_NAME"), List.of(), "getPrimaryKeys");
        equal(list(meta.getImportedKeys(null, "matrix", "kinds"), "FKCOLUMN_NAME"), List.of(), "getImportedKeys");
        equal(list(meta.getExportedKeys(null, "matrix", "kinds"), "FKCOLUMN_NAME"), List.of(), "getExportedKeys");
        equal(list(meta.getIndexInfo(null, "matrix", "kinds", false, false), "INDEX_NAME"), List.of(), "getIndexInfo");
        check(list(meta.getTypeInfo(), "TYPE_NAME").contains("int8"), "getTypeInfo");
        check(list(meta.getCatalogs(), "TABLE_CAT").contains(System.getenv("PGDATABASE")), "getCatalogs");
        list(meta.getTablePrivileges(null, "matrix", "kinds"), "GRANTEE");
        list(meta.getFunctions(null, "pg_catalog", "abs"), "FUNCTION_NAME");
        list(meta.getProcedures(null, "matrix", "%"), "PROCEDURE_NAME");
        try (var statement = connection.prepareStatement(field(matrix.get("described"), "sql"))) {
            var described = statement.getMetaData();
            equal(described.getColumnName(7), "amount", "column name");
            equal(described.getPrecision(7), 12, "precision");
            equal(described.getScale(7), 2, "scale");
            equal(described.getColumnTypeName(12), "timestamptz", "type name");
        }
    }

    static void fetchSize(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        try (var statement = connection.createStatement()) {
            statement.setFetchSize(100);
            int count = 0;
            try (var rows = statement.executeQuery("SELECT n FROM generate_series(1, 1050) AS g(n)")) {
                while (rows.next()) equal(rows.getInt(1), ++count, "fetch size");
            }
            equal(count, 1050, "fetch size");
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    static void written(Connection connection) throws SQLException {
        try (var statement = connection.createStatement()) {
            statement.execute("DROP SCHEMA IF EXISTS matrix_java CASCADE");
            statement.execute("CREATE SCHEMA matrix_java");
            statement.execute("CREATE TABLE matrix_java.t (id bigint NOT NULL, name text)");
            equal(statement.executeUpdate("INSERT INTO matrix_java.t VALUES (1, 'one'), (2, NULL)"), 2, "update count");
            try (var insert = connection.prepareStatement("INSERT INTO matrix_java.t VALUES (?, ?)")) {
                for (long id = 3; id < 6; id++) {
                    insert.setLong(1, id);
                    insert.setString(2, "row " + id);
                    insert.addBatch();
                }
                equal(Arrays.toString(insert.executeBatch()), "[1, 1, 1]", "batch");
            }
            statement.addBatch("INSERT INTO matrix_java.t VALUES (6, 'six')");
            statement.addBatch("INSERT INTO matrix_java.t VALUES (7, 'seven'), (8, 'eight')");
            equal(Arrays.toString(statement.executeBatch()), "[1, 2]", "batch of texts");
            equal(one(connection, "SELECT count(*) FROM matrix_java.t WHERE name LIKE ?", "%e%"), 3L, "what was written");
            statement.execute("DROP SCHEMA matrix_java CASCADE");
        }
    }

    static void transaction(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        fails(connection, "SELECT 1/0", "22012");
        fails(connection, "SELECT 1", "25P02");
        connection.rollback();
        equal(one(connection, "SELECT 1"), 1, "after the rollback");
        connection.rollback();
        connection.setAutoCommit(true);
    }

    /** With autosave the driver sets a savepoint before each statement and takes a failed one back. */
    static void autosave() throws SQLException {
        try (var connection = connect("autosave=always")) {
            connection.setAutoCommit(false);
            equal(one(connection, "SELECT 1"), 1, "autosave");
            fails(connection, "SELECT 1/0", "22012");
            equal(one(connection, "SELECT 2"), 2, "after an error with autosave");
            connection.commit();
        }
    }

    static void cancel(Connection connection) throws Exception {
        try (var statement = connection.createStatement()) {
            var timer = new Timer(true);
            timer.schedule(new TimerTask() {
                public void run() {
                    try {
                        statement.cancel();
                    } catch (SQLException ignored) {
                    }
                }
            }, 500);
            statement.executeQuery(matrix.get("endless").getAsString());
            check(false, "the query was not cancelled");
        } catch (SQLException error) {
            check("57014".equals(error.getSQLState()), "cancel: " + error.getMessage());
        }
        try (var statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            statement.executeQuery(matrix.get("endless").getAsString());
            check(false, "no query timeout");
        } catch (SQLException error) {
            check("57014".equals(error.getSQLState()), "query timeout: " + error.getMessage());
        }
        equal(one(connection, "SELECT 1"), 1, "after the cancel");
    }

    static void copy(Connection connection) throws Exception {
        var out = new StringWriter();
        var rows = connection.unwrap(PGConnection.class).getCopyAPI().copyOut("COPY (SELECT id FROM matrix.kinds ORDER BY id) TO STDOUT", out);
        equal(out.toString() + rows, "1\n2\n3\n3", "COPY TO");
    }

    public static void main(String[] arguments) throws Exception {
        matrix = JsonParser.parseString(Files.readString(Path.of("../matrix.json"))).getAsJsonObject();
        try (var connection = connect("")) {
            values(connection);
            queries(connection);
            for (var error : matrix.getAsJsonArray("errors")) fails(connection, field(error, "sql"), field(error, "sqlstate"));
            metaData(connection);
            fetchSize(connection);
            written(connection);
            transaction(connection);
            copy(connection);
            cancel(connection);
        }
        autosave();
        for (var mode : List.of("preferQueryMode=simple", "preferQueryMode=extendedForPrepared", "preferQueryMode=extendedCacheEverything",
                "binaryTransfer=false", "prepareThreshold=-1", "prepareThreshold=0")) {
            try (var connection = connect(mode)) {
                queries(connection);
                if (!mode.endsWith("simple")) values(connection);
            }
        }
        try {
            connect("", "wrong");
            check(false, "a wrong password was let in");
        } catch (SQLException error) {
            equal(error.getSQLState(), "28P01", "a wrong password");
        }
        System.out.println("pgjdbc passed " + org.postgresql.util.DriverInfo.DRIVER_VERSION);
    }
}
