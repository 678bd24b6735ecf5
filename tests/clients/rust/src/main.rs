//! tokio-postgres and sqlx: binary values both ways, named statements, pipelines, cursors, COPY, cancel, errors.

mod matrix;
mod with_sqlx;
mod with_tokio_postgres;

#[tokio::main]
async fn main() {
    let matrix = matrix::Matrix::read();
    with_tokio_postgres::run(&matrix).await;
    println!("tokio-postgres passed");
    with_sqlx::run(&matrix).await;
    println!("sqlx passed");
}
