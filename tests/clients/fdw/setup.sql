CREATE EXTENSION postgres_fdw;
CREATE SERVER lake FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host :'host', port :'port', dbname :'dbname', sslmode 'require', fetch_size '2');
CREATE USER MAPPING FOR admin SERVER lake OPTIONS (user :'user', password :'password');
CREATE SCHEMA remote;
IMPORT FOREIGN SCHEMA matrix FROM SERVER lake INTO remote;
CREATE FOREIGN TABLE remote.missing (id bigint) SERVER lake OPTIONS (schema_name 'matrix', table_name 'missing');
CREATE FOREIGN TABLE remote.endless (n bigint) SERVER lake OPTIONS (schema_name 'matrix_endless', table_name 'endless');
