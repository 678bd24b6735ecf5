import java.math.BigDecimal;
import java.sql.*;
import java.time.*;
import java.util.*;

/** pgjdbc: connect, introspect, parameters, every type both ways, fetch size, a cancelled query, errors. */
public class Jdbc {
    static void check(boolean condition, String what) {
        if (!condition) throw new AssertionError("pgjdbc: " + what);
    }

    static Connection connect(String more) throws SQLException {
        var env = System.getenv();
        var url = "jdbc:postgresql://%s:%s/%s?%s".formatted(env.get("PGHOST"), env.get("PGPORT"), env.get("PGDATABASE"), more);
        return DriverManager.getConnection(url, env.get("PGUSER"), env.get("PGPASSWORD"));
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

    static void types(Connection connection) throws SQLException {
        var values = new LinkedHashMap<String, Object>();
        values.put("boolean", true);
        values.put("int4", Integer.MIN_VALUE);
        values.put("int8", Long.MAX_VALUE);
        values.put("float4", 1.5f);
        values.put("float8", -0.1);
        values.put("numeric(30,5)", new BigDecimal("1234567890123456789.12345"));
        values.put("text", "naïve – ☃ 'quoted' \\ back");
        values.put("date", java.sql.Date.valueOf("2024-02-29"));
        values.put("timestamp", Timestamp.valueOf("1999-12-31 23:59:59.123456"));
        values.put("uuid", UUID.fromString("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"));
        for (var entry : values.entrySet()) {
            // Past the prepare threshold results come in binary form.
            try (var statement = connection.prepareStatement("SELECT ?::" + entry.getKey() + " AS v")) {
                for (int run = 0; run < 8; run++) {
                    statement.setObject(1, entry.getValue());
                    try (var rows = statement.executeQuery()) {
                        rows.next();
                        check(entry.getValue().equals(rows.getObject(1)), entry.getKey() + ": " + rows.getObject(1));
                    }
                }
                statement.setNull(1, Types.OTHER);
                try (var rows = statement.executeQuery()) {
                    rows.next();
                    check(rows.getObject(1) == null, entry.getKey() + ": NULL");
                }
            }
        }
        check(Arrays.equals(new byte[] {0, 1, -2}, (byte[]) one(connection, "SELECT ?::bytea", (Object) new byte[] {0, 1, -2})), "bytea");
        var array = (Array) one(connection, "SELECT ARRAY[1,2,3]::int[]");
        check(Arrays.equals(new Integer[] {1, 2, 3}, (Integer[]) array.getArray()), "array");
        var instant = one(connection, "SELECT TIMESTAMPTZ '2024-06-01 12:00:00+00'");
        check(Instant.parse("2024-06-01T12:00:00Z").equals(((Timestamp) instant).toInstant()), "timestamptz");
    }

    static void introspect(Connection connection) throws SQLException {
        var meta = connection.getMetaData();
        check(meta.getDatabaseMajorVersion() == 17, "version " + meta.getDatabaseProductVersion());
        var tables = new TreeSet<String>();
        try (var rows = meta.getTables(null, "jdbc", "%", new String[] {"TABLE", "VIEW"})) {
            while (rows.next()) tables.add(rows.getString("TABLE_NAME") + ":" + rows.getString("TABLE_TYPE"));
        }
        check(tables.equals(Set.of("t:TABLE", "v:VIEW")), "tables " + tables);
        var columns = new ArrayList<String>();
        try (var rows = meta.getColumns(null, "jdbc", "t", "%")) {
            while (rows.next()) columns.add(rows.getString("COLUMN_NAME") + ":" + rows.getString("TYPE_NAME") + ":" + rows.getInt("NULLABLE"));
        }
        check(columns.equals(List.of("id:int8:0", "name:text:1", "amount:numeric:1")), "columns " + columns);
        try (var rows = meta.getSchemas()) {
            var schemas = new HashSet<String>();
            while (rows.next()) schemas.add(rows.getString("TABLE_SCHEM"));
            check(schemas.containsAll(Set.of("jdbc", "public", "pg_catalog", "information_schema")), "schemas " + schemas);
        }
        try (var rows = meta.getPrimaryKeys(null, "jdbc", "t")) {
            check(!rows.next(), "no primary key");
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
            statement.executeQuery("SELECT count(*) FROM generate_series(1,3000000) a(n) JOIN generate_series(1,3000000) b(n) ON a.n % 7 = b.n % 7");
            check(false, "the query was not cancelled");
        } catch (SQLException error) {
            check("57014".equals(error.getSQLState()), "cancel: " + error.getMessage());
        }
        check(one(connection, "SELECT 1").equals(1), "after the cancel");
    }

    public static void main(String[] arguments) throws Exception {
        try (var connection = connect("sslmode=require")) {
            try (var statement = connection.createStatement()) {
                statement.execute("DROP SCHEMA IF EXISTS jdbc CASCADE");
                statement.execute("CREATE SCHEMA jdbc");
                statement.execute("CREATE TABLE jdbc.t (id bigint NOT NULL, name text, amount numeric(10,2))");
                check(statement.executeUpdate("INSERT INTO jdbc.t VALUES (1, 'one', 1.50), (2, NULL, NULL)") == 2, "update count");
                statement.execute("CREATE VIEW jdbc.v AS SELECT id FROM jdbc.t");
            }
            types(connection);
            introspect(connection);
            fails(connection, "SELECT nothing", "42703");
            fails(connection, "SELECT * FROM missing", "42P01");
            fails(connection, "SELECT 1/0", "22012");
            fails(connection, "SELEC 1", "42601");
            cancel(connection);

            connection.setAutoCommit(false);
            try (var statement = connection.createStatement()) {
                statement.setFetchSize(100);
                int count = 0;
                try (var rows = statement.executeQuery("SELECT n FROM generate_series(1, 1050) AS g(n)")) {
                    while (rows.next()) count++;
                }
                check(count == 1050, "fetch size: " + count);
            }
            connection.commit();
        }
        try (var simple = connect("preferQueryMode=simple")) {
            check(one(simple, "SELECT ?::int + 1", 41).equals(42), "simple mode");
        }
        System.out.println("pgjdbc passed");
    }
}
