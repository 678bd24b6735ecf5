FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY migrations migrations
COPY config config
COPY values values
COPY src src
COPY tests/it/main.rs tests/it/main.rs
COPY sqllogictest/runner.rs sqllogictest/runner.rs
RUN cargo build --release --locked --bin lakehold

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates curl \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/lakehold --create-home lakehold
COPY --from=build /source/target/release/lakehold /usr/local/bin/lakehold
USER lakehold
VOLUME /var/lib/lakehold
EXPOSE 5433 8433
ENV LAKEHOLD__LISTEN__POSTGRES=0.0.0.0:5433 LAKEHOLD__LISTEN__HTTP=0.0.0.0:8433
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD curl -fsS http://127.0.0.1:8433/ready || exit 1
STOPSIGNAL SIGTERM
ENTRYPOINT ["lakehold"]
CMD ["serve", "--data-dir", "/var/lib/lakehold"]
