\pset pager off
\l
\dn
\dn+
\dt shop.*
\dt+ shop.*
\dp shop.*
\d shop.orders
\d+ shop.orders
\d shop.big_orders
\d+ shop.big_orders
\dv shop.*
\dv+ shop.*
\df shop.*
\df+ shop.*
\du
\du+
\di shop.*
\ds shop.*
\dT shop.*
\db
\dx
\dC int4
\dO shop.*
\dL
\sv shop.big_orders
select * from shop.orders order by id;
select shop.doubled(21);
\x on
select * from shop.orders where id = 1;
\x off
\set order 1
select id, amount from shop.orders where id = :order;
prepare p (bigint) as select customer from shop.orders where id = $1;
execute p (1);
deallocate p;
begin;
declare c cursor for select n from generate_series(1, 5) as g(n);
fetch 2 from c;
fetch all from c;
commit;
copy (select id, customer from shop.orders order by id) to stdout;
copy (select id, customer from shop.orders order by id) to stdout with (format csv, header);
select nothing from shop.orders;
select * from shop.missing;
selec 1;
select 1/0;
update shop.orders set amount = 0;
set timezone = 'Asia/Tokyo';
select sent from shop.orders where id = 1;
show timezone;
select id, amount from shop.orders where id = 1 \gdesc
