#!/usr/bin/env bash
# Builds the peer of the benchmark of destinations: an OpenTelemetry Collector 0.150.0 with the exporters `prometheus` and
# `prometheusremotewrite` of contrib, from its published Go modules (a few minutes on two cores). Prints the path of the
# binary, which is left alone when it is there. Needs go >= 1.26. It is put into PEER_DIR.
set -euo pipefail
version=0.150.0 stable=1.56.0
dir=${PEER_DIR:-$HOME/.cache/otelcol-peer-destinations-$version}
binary=$dir/otelcol-peer-destinations
[ -x "$binary" ] && { echo "$binary"; exit 0; }
core=go.opentelemetry.io/collector contrib=github.com/open-telemetry/opentelemetry-collector-contrib
mkdir -p "$dir/src" && cd "$dir"
GOBIN=$dir go install "$core/cmd/builder@v$version" >&2
modules() { # KIND VERSION MODULE...
  echo "$1:"
  for module in "${@:3}"; do echo "  - gomod: $module v$2"; done
}
{
  printf 'dist:\n  name: otelcol-peer-destinations\n  output_path: %s/src\n' "$dir"
  modules receivers $version $core/receiver/otlpreceiver
  modules processors $version $core/processor/{batch,memorylimiter}processor
  modules exporters $version $core/exporter/nopexporter $contrib/exporter/{prometheus,prometheusremotewrite}exporter
  modules providers $stable $core/confmap/provider/{env,file,yaml}provider
} > builder.yaml
./builder --config builder.yaml --skip-get-modules --skip-compilation >&2
cd src
{
  printf 'module peer\n\ngo 1.26\n\nrequire (\n'
  awk '/gomod:/ {print "\t" $3 " " $4}' ../builder.yaml
  printf '\t%s/otelcol v%s\n)\n' $core $version
} > go.mod
go build -mod=mod -o "$binary.new" . >&2
mv "$binary.new" "$binary"
echo "$binary"
