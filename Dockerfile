# negah serve in a container: the model inside, no PyTorch, no root, nothing fetched when it runs.
#
#     docker build -t negah .
#     docker run --rm -p 127.0.0.1:8484:8484 -e NEGAH_TOKEN=... negah

FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN python -m venv /opt/negah \
    && /opt/negah/bin/python -m pip install --no-cache-dir -c constraints.txt '.[serve]'

FROM python:3.11-slim
LABEL org.opencontainers.image.title="Negah" \
      org.opencontainers.image.description="Captions for photos and clips over HTTP" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/negah /opt/negah
ENV PATH=/opt/negah/bin:$PATH \
    PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8484
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8484/readyz', timeout=4)"]
# Other machines reach it, so that it wants a token: NEGAH_TOKEN, or --allow-anyone.
ENTRYPOINT ["negah", "serve", "--host", "0.0.0.0"]
