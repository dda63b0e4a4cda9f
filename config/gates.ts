/**
 * The Collector's feature gates (`--feature-gates=a,-b,+c`): a command line that names them works here too, and is told
 * what each of them means in Kymo.
 */
import { suggest } from './nearest.ts'
import type { Report } from './report.ts'

/** Stages of the Collector: alpha is off and beta on unless said otherwise; stable is on and deprecated off for good. */
export type GateStage = 'alpha' | 'beta' | 'stable' | 'deprecated'

/** One gate. */
export interface FeatureGate {
  readonly id: string
  readonly stage: GateStage
  /** What it means here. */
  readonly meaning: string
  /** Whether turning it on changes what Kymo does. */
  readonly effective?: boolean
}

const gate = (stage: GateStage, meaning: string, ids: string): FeatureGate[] =>
  ids
    .trim()
    .split(/\s+/)
    .map(id => ({ id, stage, meaning }))

const always = 'No effect: Kymo always does this.'
const inside = "No effect: it is about the Collector's inner workings."
const never = 'No effect: Kymo does not have what it changes.'

/** All gates that are known, by name. */
export const gates: readonly FeatureGate[] = [
  {
    id: 'confmap.enableMergeAppendOption',
    stage: 'alpha',
    meaning:
      'Lists of receivers, exporters and `service::extensions` of several configurations are joined; later ones no longer replace earlier ones.',
    effective: true,
  } satisfies FeatureGate,
  {
    id: 'service.AllowNoPipelines',
    stage: 'alpha',
    meaning: 'A configuration without pipelines is no error: only extensions run.',
    effective: true,
  } satisfies FeatureGate,
  ...gate('alpha', 'No effect: profiles are not supported yet.', 'service.profilesSupport'),
  ...gate(
    'alpha',
    'No effect: a reload checks the new configuration first and restarts only what changed.',
    'service.partialReload service.partialReloadReceivers',
  ),
  ...gate(
    'alpha',
    'No effect: what enters and leaves each component is always counted, as `kymo_component_items_total`.',
    'telemetry.newPipelineTelemetry',
  ),
  ...gate(
    'alpha',
    'No effect: queues are in memory, where the metadata of a request stays with its data.',
    'exporter.PersistRequestContext',
  ),
  ...gate('alpha', 'No effect: `print-config` is always there.', 'otelcol.printInitialConfig'),
  ...gate('stable', always, 'confmap.strictlyTypedInput confmap.unifyEnvVarExpansion'),
  ...gate(
    'stable',
    'No effect: listeners and the metrics endpoint are on localhost unless told otherwise.',
    'component.UseLocalHostAsDefaultHost telemetry.UseLocalHostAsDefaultMetricsAddress',
  ),
  ...gate('beta', always, 'confmap.newExpandedValueSanitizer configoptional.AddEnabledField confighttp.framedSnappy'),
  ...gate(
    'alpha',
    inside,
    `pdata.useCustomProtoEncoding pdata.useProtoPooling pdata.enableRefCounting service.noopTracerProvider
    telemetry.disableHighCardinalityMetrics`,
  ),
  ...gate(
    'stable',
    inside,
    `telemetry.useOtelForInternalMetrics telemetry.useOtelWithResourceConfigurationForInternalTelemetry
    telemetry.useOtelWithSDKConfigurationForInternalTelemetry`,
  ),
  ...gate(
    'alpha',
    never,
    `ottl.functions.enableLambda ottl.set.allowNil transform.flatten.logs
    processor.resourcedetection.propagateerrors processor.tailsamplingprocessor.recordpolicy
    processor.tailsamplingprocessor.disableinvertdecisions processor.tailsamplingprocessor.metricstatcountspanssampled
    connector.spanmetrics.legacyMetricNames connector.spanmetrics.includeCollectorInstanceID
    connector.spanmetrics.useSecondAsDefaultMetricsUnit spanmetrics.statusCodeConvention.useOtelPrefix
    exporter.prometheusexporter.DisableAddMetricSuffixes exporter.prometheusremotewritexporter.EnableMultipleWorkers
    exporter.prometheusremotewritexporter.deprecateCreatedMetric exporter.prometheusremotewritexporter.RetryOn429
    extension.healthcheck.useComponentStatus filelog.allowFileDeletion filelog.allowHeaderMetadataParsing
    filelog.mtimeSortType filelog.decompressFingerprint filelog.protobufCheckpointEncoding
    receiver.prometheusreceiver.EnableNativeHistograms receiver.prometheusreceiver.RemoveStartTimeAdjustment
    receiver.prometheusreceiver.UseCreatedMetric receiver.prometheusreceiver.RemoveLegacyResourceAttributes
    receiver.kubeletstats.enableCPUUsageMetrics receiver.hostmetrics.normalizeProcessCPUUtilization
    hostmetrics.process.onWindowsUseNewGetProcesses pkg.translator.prometheus.PermissiveLabelSanitization`,
  ),
  ...gate(
    'beta',
    never,
    `filelog.container.removeOriginalTimeField pkg.translator.prometheus.NormalizeName
    processor.resourcedetection.hostCPUSteppingAsString connector.datadogconnector.NativeIngest
    exporter.datadogexporter.metricexportnativeclient`,
  ),
  ...gate(
    'stable',
    never,
    'k8sattr.fieldExtractConfigRegex.disallow k8sattr.labelsAnnotationsSingular.allow awsemf.nodimrollupdefault',
  ),
].toSorted((a, b) => a.id.localeCompare(b.id))

/** Gates as a command line sets them. */
export interface GateChoice {
  /** Those that change what Kymo does and are turned on. */
  readonly on: ReadonlySet<string>
  /** What each gate named means here. */
  readonly notes: readonly string[]
}

/** Reads `--feature-gates` values. */
export function readGates(values: readonly string[], report: Report): GateChoice {
  const on = new Set<string>()
  const notes: string[] = []
  const words = values.flatMap(value => value.split(',')).map(word => word.trim())
  for (const word of words.filter(word => word !== '')) {
    const off = word.startsWith('-')
    const id = word.replace(/^[-+]/, '')
    const found = findGate(id)
    if (typeof found === 'string') {
      report.error('CONFIG_INVALID_VALUE', undefined, `\`--feature-gates\`: there is no gate \`${id}\``, found)
      continue
    }
    if (found.effective === true && !off) on.add(id)
    else on.delete(id)
    notes.push(`feature gate \`${id}\`: ${off && found.effective === true ? 'off' : found.meaning}`)
  }
  return { on, notes }
}

/** A gate by its name; a hint when there is none. */
export function findGate(id: string): FeatureGate | string {
  const names = gates.map(gate => gate.id)
  const otherwise = '`kymo featuregate` lists those there are'
  return gates.find(gate => gate.id === id) ?? suggest(id, names) ?? otherwise
}
