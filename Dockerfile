# docker build -t sluicegate .        docs/deployment.md says how to run it
FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv --without-pip /opt/sluicegate
# Before the code: a change of the code alone installs nothing of this again.
COPY requirements/run.txt requirements/
RUN python -m pip --python /opt/sluicegate install --only-binary :all: --require-hashes --requirement requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY gql gql
COPY models models
COPY resolvers resolvers
COPY sluicegate sluicegate
RUN python -m pip --python /opt/sluicegate install --no-deps --no-build-isolation . \
    && /opt/sluicegate/bin/sluicegate --version

FROM python:3.13-slim
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/sluicegate --shell /usr/sbin/nologin sluicegate \
    && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/sluicegate
COPY --from=build /opt/sluicegate /opt/sluicegate
ENV PATH=/opt/sluicegate/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SLUICEGATE_DATA_DIR=/var/lib/sluicegate
WORKDIR /var/lib/sluicegate
# All that is ever written: the root may be mounted read-only.
VOLUME /var/lib/sluicegate
# As numbers, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# http.client, which knows of no proxies. A worker answers there too when it is started with --port 8000.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["sluicegate"]
CMD ["serve", "--host", "0.0.0.0"]
