/**
 * Component types of the OpenTelemetry Collector (core and contrib), by kind, with both generations of names. A
 * configuration that uses one this build does not have is told so once, with all of them, not as if they were misspelt.
 */
import type { Kind } from '../core/component.ts'

const words = (text: string): readonly string[] => text.trim().split(/\s+/)

/** The Collector's types by kind. */
export const collectorTypes: Readonly<Record<Kind, readonly string[]>> = {
  receiver: words(`
    active_directory_ds aerospike apache awscloudwatch aws_cloudwatch awscontainerinsightreceiver awsecscontainermetrics
    awsfirehose aws_firehose awslambda aws_lambda awss3 aws_s3 awsxray azureblob azure_blob azureeventhub azure_event_hub
    azuremonitor azure_monitor carbon chrony ciscoos cloudflare cloudfoundry collectd couchdb datadog datadogsemantic
    docker_stats elasticsearch envoyals expvar faro file filelog file_log filestats flinkmetrics fluentforward
    fluent_forward gelf github gitlab googlecloudmonitoring googlecloudpubsub googlecloudpubsubpush googlecloudspanner
    haproxy hostmetrics host_metrics httpcheck http_check huaweicloudcesreceiver icmpcheckreceiver iis influxdb jaeger
    jmx journald k8s_cluster k8s_events k8slog k8sobjects k8s_objects kafka kafkametrics kafka_metrics kubeletstats
    kubelet_stats libhoneyevent loki macosunifiedlogging memcached mongodb mongodbatlas mysql namedpipe netflow nginx
    nop nsxt ntp opencensus oracledb osquery otelarrow otlp otlpjsonfile otlp_json_file podman_stats postgresql
    pprof prometheus prometheusremotewrite prometheus_remote_write pulsar purefa purefb rabbitmq receiver_creator redis
    redfish riak sapm saphana signalfx simpleprometheus skywalking snmp snowflake solace splunkenterprise splunk_hec
    sqlquery sql_query sqlserver sshcheck statsd stef syslog systemd tcpcheck tcplog tcp_log tlscheck udplog udp_log
    unifi vcenter vcr wavefront webhookevent webhook_event windowseventlog windows_event_log windowsperfcounters
    windows_perf_counters windowsservice xk6 yanggrpc zipkin zookeeper`),
  processor: words(`
    attributes batch coralogix cumulativetodelta cumulative_to_delta datadog datadogsemantics deltatocumulative
    delta_to_cumulative deltatorate delta_to_rate dnslookup dns_lookup experimental_metricsgeneration filter geoip
    genaiadapter groupbyattrs group_by_attrs groupbytrace group_by_trace interval isolationforest k8sattributes
    k8s_attributes logdedup log_dedup logstransform logs_transform logstructparse lookup memory_limiter
    metricsgeneration metrics_generation metricstarttime metric_start_time metricstransform metrics_transform
    probabilistic_sampler queuebatch redaction remotetap remote_tap resource resourcedetection resource_detection
    routing schema span spanmetrics spanpruning span_pruning sumologic tail_sampling transform unroll`),
  exporter: words(`
    alertmanager alibabacloud_logservice awscloudwatchlogs aws_cloudwatch_logs awsemf aws_emf awskinesis aws_kinesis
    awss3 aws_s3 awsxray aws_xray azureblob azure_blob azuredataexplorer azure_data_explorer azuremonitor azure_monitor
    bmchelix carbon cassandra clickhouse coralogix datadog dataset debug doris elasticsearch faro file googlecloud
    googlecloudpubsub googlecloudstorage googlemanagedprometheus honeycombmarker influxdb kafka loadbalancing
    load_balancing logicmonitor logzio mezmo nop opensearch otelarrow otlp otlp_grpc otlp_http otlphttp prometheus
    prometheusremotewrite prometheus_remote_write pulsar rabbitmq sapm sematext sentry signalfx splunk_hec stef
    sumologic syslog tencentcloud_logservice tinybird xray zipkin`),
  connector: words(`
    count datadog exceptions failover forward grafanacloud metricsaslogs otlpjson otlp_json roundrobin round_robin
    routing servicegraph service_graph signaltometrics signal_to_metrics slowsql spanmetrics span_metrics sum`),
  extension: words(`
    ack asapclient avro_log_encoding awscloudwatchmetricstreams_encoding awslogs_encoding awsproxy azure_encoding
    azureauth azure_auth basicauth basic_auth bearertokenauth bearer_token_auth cfgarden cgroupruntime db_storage
    datadog docker_observer ecs_observer ecs_task_observer file_storage googleclientauth
    googlecloudlogentry_encoding headers_setter health_check healthcheckv2 host_observer http_forwarder
    jaeger_encoding jaegerremotesampling json_log_encoding k8s_leader_elector k8s_observer kafkatopics_observer
    memory_ballast memory_limiter oauth2client oidc opamp otlp_encoding pebbleextension pprof redis_storage
    remotetap sigv4auth skywalking_encoding solarwindsapmsettings storage sumologic text_encoding zipkin_encoding
    zpages`),
}

/** What took the place of types that the Collector has long removed, by `kind type`. */
export const removed: ReadonlyMap<string, string> = new Map([
  ['exporter logging', 'it was removed from the Collector; use `debug`'],
  ['exporter jaeger_thrift', 'it was removed from the Collector; Jaeger takes OTLP: use `jaeger` with its port 4317'],
  ['exporter opencensus', 'it was removed from the Collector; use `otlp_grpc`'],
  ['extension memory_ballast', 'it was removed from the Collector; remove it, the memory budget is kept without it'],
  ['processor spanmetrics', 'it was removed from the Collector; there it is now a connector'],
  ['processor routing', 'it was removed from the Collector; there it is now a connector'],
])
