# What makes the keys of the containers: a shell, and nk.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY nk /usr/local/bin/nk
ENTRYPOINT ["/bin/sh", "/keys.sh"]
