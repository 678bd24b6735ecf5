// pgx: named statements and binary values, batches, all query modes, COPY, cancel by context, errors.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

type parameter struct {
	Type string
	Text *string
}

var matrix struct {
	Values    []struct{ Type, Text string }
	Described struct {
		SQL     string
		Rows    int
		Columns [][]any
	}
	Queries []struct {
		What, SQL  string
		Parameters []parameter
		Rows       [][]*string
	}
	Errors  []struct{ SQL, SQLState string }
	Endless string
}

var ctx = context.Background()

func check(condition bool, format string, arguments ...any) {
	if !condition {
		fmt.Fprintf(os.Stderr, "pgx: "+format+"\n", arguments...)
		os.Exit(1)
	}
}

func must[T any](value T, err error) T {
	check(err == nil, "%v", err)
	return value
}

func sqlState(err error) string {
	var failure *pgconn.PgError
	if errors.As(err, &failure) {
		return failure.Code
	}
	return fmt.Sprint(err)
}

// one gives the first column of the first row as text, or "NULL".
func one(connection *pgx.Conn, sql string, arguments ...any) string {
	var text *string
	err := connection.QueryRow(ctx, sql, arguments...).Scan(&text)
	check(err == nil, "%s %v: %v", sql, arguments, err)
	if text == nil {
		return "NULL"
	}
	return *text
}

// fails runs a statement to its end, which must be an error.
func fails(connection *pgx.Conn, sql, state string, arguments ...any) {
	rows, err := connection.Query(ctx, sql, arguments...)
	if err == nil {
		for rows.Next() {
		}
		err = rows.Err()
	}
	check(sqlState(err) == state, "%s: %v, expected %s", sql, err, state)
}

func values(connection *pgx.Conn) {
	for _, v := range matrix.Values {
		literal := "'" + strings.ReplaceAll(v.Text, "'", "''") + "'"
		rows := must(connection.Query(ctx, "SELECT "+literal+"::"+v.Type))
		check(rows.Next(), "%s: no row", v.Type)
		read := must(rows.Values())[0]
		rows.Close()
		check(rows.Err() == nil, "%s: %v", v.Type, rows.Err())
		if v.Type == "json" || v.Type == "jsonb" {
			read = must(json.Marshal(read))
			same := one(connection, "SELECT $1::"+v.Type+"::text", read)
			check(strings.ReplaceAll(same, " ", "") == strings.ReplaceAll(v.Text, " ", ""), "%s: %s", v.Type, same)
			continue
		}
		same := one(connection, "SELECT $1::"+v.Type+"::text", read)
		check(same == v.Text, "%s: sent %v, read %s", v.Type, read, same)
		same = one(connection, "SELECT $1::"+v.Type+"::text", nil)
		check(same == "NULL", "%s: NULL became %s", v.Type, same)
	}
}

func queries(connection *pgx.Conn, modes ...any) {
	for _, query := range matrix.Queries {
		arguments := append([]any{}, modes...)
		for _, p := range query.Parameters {
			if p.Text == nil || p.Type == "text" {
				arguments = append(arguments, p.Text)
			} else {
				var number int64
				must(fmt.Sscan(*p.Text, &number))
				arguments = append(arguments, number)
			}
		}
		rows := must(connection.Query(ctx, query.SQL, arguments...))
		read := [][]*string{}
		for rows.Next() {
			row := make([]*string, len(rows.FieldDescriptions()))
			targets := make([]any, len(row))
			for i := range row {
				targets[i] = &row[i]
			}
			check(rows.Scan(targets...) == nil, "%s: scan", query.What)
			read = append(read, row)
		}
		check(rows.Err() == nil, "%s: %v", query.What, rows.Err())
		check(reflect.DeepEqual(read, query.Rows), "%s: read %s", query.What, must(json.Marshal(read)))
	}
}

func main() {
	check(json.Unmarshal(must(os.ReadFile("../matrix.json")), &matrix) == nil, "matrix.json")
	connection := must(pgx.Connect(ctx, "sslmode=require"))
	values(connection)
	queries(connection)
	modes := []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol}
	for _, mode := range modes {
		queries(connection, mode)
		for _, failure := range matrix.Errors {
			fails(connection, failure.SQL, failure.SQLState, mode)
		}
	}

	rows := must(connection.Query(ctx, matrix.Described.SQL))
	for i, column := range rows.FieldDescriptions() {
		expected := matrix.Described.Columns[i]
		check(column.Name == expected[0] && float64(column.DataTypeOID) == expected[1], "column %s %d", column.Name, column.DataTypeOID)
	}
	rows.Close()
	check(rows.CommandTag().String() == fmt.Sprintf("SELECT %d", matrix.Described.Rows), "tag %s", rows.CommandTag())

	batch := &pgx.Batch{}
	for n := range 50 {
		batch.Queue("SELECT $1::int + 1", n)
	}
	results := connection.SendBatch(ctx, batch)
	for n := range 50 {
		var sum int
		check(results.QueryRow().Scan(&sum) == nil && sum == n+1, "batch: %d", sum)
	}
	check(results.Close() == nil, "batch")

	transaction := must(connection.Begin(ctx))
	fails(transaction.Conn(), "SELECT 1/0", "22012")
	fails(transaction.Conn(), "SELECT 1", "25P02")
	check(transaction.Rollback(ctx) == nil, "rollback")

	for _, sql := range []string{"DROP SCHEMA IF EXISTS matrix_go CASCADE", "CREATE SCHEMA matrix_go", "CREATE TABLE matrix_go.t (id bigint, name text)"} {
		must(connection.Exec(ctx, sql))
	}
	tag := must(connection.Exec(ctx, "INSERT INTO matrix_go.t VALUES ($1, $2), (2, NULL)", int64(1), "one"))
	check(tag.RowsAffected() == 2, "tag %s", tag)
	check(one(connection, "SELECT name FROM matrix_go.t WHERE id = $1", int64(1)) == "one", "what was written")
	must(connection.Exec(ctx, "DROP SCHEMA matrix_go CASCADE"))

	var out bytes.Buffer
	must(connection.PgConn().CopyTo(ctx, &out, "COPY (SELECT id FROM matrix.kinds ORDER BY id) TO STDOUT"))
	check(out.String() == "1\n2\n3\n", "COPY TO: %q", out.String())

	check(connection.PgConn().CancelRequest(ctx) == nil, "a cancel with nothing to cancel")
	go func() {
		time.Sleep(500 * time.Millisecond)
		_ = connection.PgConn().CancelRequest(ctx)
	}()
	fails(connection, matrix.Endless, "57014")
	check(one(connection, "SELECT 'after'") == "after", "after the cancel")
	check(connection.Close(ctx) == nil, "close")

	_, err := pgx.Connect(ctx, "sslmode=require password=wrong")
	check(sqlState(err) == "28P01", "a wrong password: %v", err)
	fmt.Println("pgx passed")
}
