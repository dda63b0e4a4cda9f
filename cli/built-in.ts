/** What runs without `--config`: needs no other server, and shows what it does. */
export const builtIn = `
receivers:
  otlp:
    protocols:
      grpc: {endpoint: 'localhost:4317'}
      http: {endpoint: 'localhost:4318'}

processors:
  # kube-system, istio-system and kyma-system are left out; data without a namespace passes.
  namespace_filter: {}
  resource:
    attributes:
      - {key: k8s.cluster.name, value: '\${env:KYMO_CLUSTER_NAME:-local}', action: insert}
  batch: {}

exporters:
  # Plain text on standard output; Kymo's own log is on standard error.
  debug: {verbosity: normal, use_internal_logger: false}

service:
  pipelines:
    traces: {receivers: [otlp], processors: [namespace_filter, resource, batch], exporters: [debug]}
    metrics: {receivers: [otlp], processors: [namespace_filter, resource, batch], exporters: [debug]}
    logs: {receivers: [otlp], processors: [namespace_filter, resource, batch], exporters: [debug]}
`
