# syntax=docker/dockerfile:1

# The SQL parser is C, so the image for building has a C compiler and the image for running has the C library.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=1 go build -trimpath -buildvcs=false -ldflags='-s -w' -o /pgring ./cmd/pgring

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 65532 --no-create-home --shell /usr/sbin/nologin pgring
COPY --from=build /pgring /usr/local/bin/pgring
COPY LICENSE /usr/share/doc/pgring/LICENSE
USER 65532
EXPOSE 6432 6480
# SIGTERM lets open transactions end for listen.drain_timeout.
STOPSIGNAL SIGTERM
# The image has no HTTP client; bash asks whether the process serves SQL.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/6480 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r status <&3 && [[ $status == *' 200 '* ]]"]
ENTRYPOINT ["pgring"]
CMD ["serve", "-c", "/etc/pgring/pgring.yaml"]
