/* A program with an OAuth flow of its own, on libpq 18: hands over the token in the variable TOKEN, runs a query. Usage: oauth CONNINFO */

#include <stdio.h>
#include <stdlib.h>

#include <libpq-fe.h>

static int flow(PGauthData what, PGconn *connection, void *data)
{
    PGoauthBearerRequest *request = data;

    if (what != PQAUTHDATA_OAUTH_BEARER_TOKEN)
        return PQdefaultAuthDataHook(what, connection, data);
    printf("%s %s\n", request->openid_configuration, request->scope ? request->scope : "(null)");
    request->token = getenv("TOKEN");
    return request->token ? 1 : -1;
}

int main(int count, char **arguments)
{
    if (count != 2)
        return 2;
    PQsetAuthDataHook(flow);
    PGconn *connection = PQconnectdb(arguments[1]);
    PGresult *result = PQstatus(connection) == CONNECTION_OK ? PQexec(connection, "SELECT current_user") : NULL;
    int status = PQresultStatus(result) == PGRES_TUPLES_OK ? EXIT_SUCCESS : EXIT_FAILURE;

    if (status == EXIT_SUCCESS)
        puts(PQgetvalue(result, 0, 0));
    else
        fputs(PQerrorMessage(connection), stderr);
    PQclear(result);
    PQfinish(connection);
    return status;
}
