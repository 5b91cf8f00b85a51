# The server in an image. It has no jobs of its own: mount yours and name them.
#
#   docker build -t runwire .
#   docker run --init -p 3333:3333 -e RUNWIRE_TOKEN=… -v runwire:/var/lib/runwire -v ./jobs:/jobs \
#     runwire runwire serve --host 0.0.0.0 -f /jobs/jobs.py
#
# The server listens beyond loopback here, so it refuses to start without RUNWIRE_TOKEN. `--init`
# reaps what a killed run leaves behind.

ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
# The dependencies first: they change less often than the code, and so stay cached.
COPY requirements/ requirements/
RUN python -m venv /app \
    && /app/bin/pip install --require-hashes --requirement requirements/runtime.txt \
    && pip install --require-hashes --requirement requirements/build.txt
COPY . .
RUN pip wheel --no-build-isolation --no-deps --wheel-dir dist . \
    && /app/bin/pip install --no-deps dist/*.whl

FROM python:${PYTHON}
RUN groupadd --system --gid 10001 runwire \
    && useradd --system --uid 10001 --gid 10001 --no-create-home runwire \
    && install --directory --owner runwire --group runwire /var/lib/runwire
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RUNWIRE_HOME=/var/lib/runwire
VOLUME /var/lib/runwire
WORKDIR /var/lib/runwire
USER 10001:10001
EXPOSE 3333
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:3333/livez', timeout=2)"]
CMD ["runwire", "serve", "--host", "0.0.0.0", "--port", "3333"]
