# Stands in for the image with curl that k8s/examples names, so that the stories need nothing from a registry but the
# bases of our own images.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends curl && rm -rf /var/lib/apt/lists/*
USER 1000
