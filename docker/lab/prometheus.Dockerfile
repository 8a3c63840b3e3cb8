# Prometheus where its own image can't be had: Debian's, on the base of docker/base.sh.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends prometheus \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
USER nobody
ENTRYPOINT ["/usr/bin/prometheus"]
