# RPostgreSQL: simple protocol, catalog functions, data frames.
library(RPostgreSQL)

equal <- function(read, expected, what) {
  if (!isTRUE(all.equal(read, expected))) stop(paste(what, ": read", toString(read), ", expected", toString(expected)))
}
connection <- dbConnect(PostgreSQL(), dbname = Sys.getenv("PGDATABASE"), host = Sys.getenv("PGHOST"), port = Sys.getenv("PGPORT"),
                        user = Sys.getenv("PGUSER"), password = Sys.getenv("PGPASSWORD"))
kinds <- dbGetQuery(connection, "SELECT * FROM matrix.kinds ORDER BY id")
equal(dim(kinds), c(3L, 12L), "rows and columns")
equal(kinds$flag, c(TRUE, FALSE, NA), "boolean")
equal(kinds$whole, c(2147483647L, 0L, NA), "integer")
equal(kinds$number, c(-0.1, 0, NA), "double precision")
equal(kinds$amount, c(1234567890.12, 0, NA), "numeric")
equal(kinds$name[1], "naïve – ☃ 'quoted' \\ back", "text")
equal(as.character(kinds$day[1]), "2024-02-29", "date")
equal(dbGetQuery(connection, "SELECT name FROM matrix.kinds WHERE id = $1", 2)$name, "", "a parameter")
equal(dbExistsTable(connection, c("matrix", "kinds")), TRUE, "dbExistsTable")
equal(dbListFields(connection, c("matrix", "kinds")), names(kinds), "dbListFields")
invisible(dbListTables(connection))
failure <- tryCatch({ dbSendQuery(connection, "SELECT nothing"); "" }, error = conditionMessage, warning = conditionMessage)
if (!grepl('column "nothing" does not exist', failure)) stop(paste("the error reads", failure))
invisible(dbSendQuery(connection, "BEGIN"))
equal(dbGetQuery(connection, "SELECT count(*) AS n FROM matrix.kinds")$n, 3, "in a transaction")
invisible(dbCommit(connection))
invisible(dbDisconnect(connection))
cat("RPostgreSQL passed", as.character(packageVersion("RPostgreSQL")), "\n")
