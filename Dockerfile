# All programs in one image: docker build -t coffer .
FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release -p coffer-server -p coffer-operator

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/coffer-server /src/target/release/coffer-listener /src/target/release/coffer-operator /usr/local/bin/
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/coffer-operator"]
