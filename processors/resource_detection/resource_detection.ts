import * as z from 'zod'
import { defineProcessor, type ProcessorContext, type Step } from '../../core/component.ts'
import { duration, texts } from '../../core/fields.ts'
import type { Held } from '../../core/holding.ts'
import type { Edits } from '../../proto/actions.ts'
import { compileEdits } from '../../proto/edits.ts'
import { allSignals } from '../../proto/signals.ts'
import { editResources } from '../resource-edits.ts'
import { each, holding } from '../steps.ts'
import { Detection } from './detection.ts'
import type { DetectedAttributes, Detector } from './detector.ts'
import { dockerAttributes, dockerDetector } from './docker.ts'
import { envDetector } from './env.ts'
import { hostNameSources } from './host-name.ts'
import { k8sNodeAttributes, k8sNodeDetector } from './k8s-node.ts'
import { systemAttributes, systemDetector } from './system.ts'

const detectorNames = ['env', 'system', 'docker', 'k8snode', 'k8s_node'] as const
type DetectorName = (typeof detectorNames)[number]

const switches = (known: readonly string[]) =>
  z
    .record(
      z.string(),
      z.strictObject({ enabled: z.boolean().default(true).describe('Whether the attribute is set.') }),
    )
    .superRefine((section, check) => {
      for (const name of Object.keys(section)) {
        if (known.includes(name)) continue
        const message = `\`${name}\` is not one of ${known.map(one => `\`${one}\``).join(', ')}`
        check.addIssue({ code: 'custom', message, path: [name] })
      }
    })
    .default({})
    .describe(`Switches single attributes: ${known.join(', ')}.`)

const k8sNode = () =>
  z.strictObject({
    auth_type: z
      .enum(['serviceAccount', 'none'])
      .default('serviceAccount')
      .describe('How the API server is asked for the uid of the node; `none` does not ask.'),
    node_from_env_var: z
      .string()
      .min(1, { error: '`node_from_env_var` must not be empty' })
      .default('K8S_NODE_NAME')
      .describe('The environment variable that has the name of the node.'),
    resource_attributes: switches(k8sNodeAttributes),
  })

const config = z.strictObject({
  detectors: texts()
    .superRefine((names, check) => {
      names.forEach((name, i) => {
        if (detectorNames.some(known => known === name)) return
        const message = `this build has no detector \`${name}\`; it has ${detectorNames.join(', ')}`
        check.addIssue({ code: 'custom', message, path: [i] })
      })
    })
    .prefault(['env'])
    .describe('What is asked, in order: of several that know an attribute, the first one wins.'),
  override: z.boolean().default(true).describe('Whether attributes that a resource has already are replaced.'),
  timeout: duration({ exclusive: true })
    .prefault('5s')
    .describe('How long data waits for the detectors at start; one that answers later counts from then on.'),
  refresh_interval: duration().prefault('0s').describe('How often the detectors are asked again; 0 for never.'),
  attributes: texts().prefault([]).describe('Only attributes of these names are set; all when empty.'),
  env: z
    .strictObject({
      allowlist: texts().optional().describe('Names that are taken from the environment; all when left out.'),
    })
    .prefault({})
    .describe('Settings of the detector `env`.'),
  system: z
    .strictObject({
      hostname_sources: z
        .array(z.enum(hostNameSources))
        .transform(sources => (sources.length === 0 ? (['dns', 'os'] as const) : sources))
        .default(['dns', 'os'])
        .describe('Where the name of the host is looked for: `dns` (the full name), `os`, `cname`, `lookup`.'),
      resource_attributes: switches(systemAttributes),
    })
    .prefault({})
    .describe('Settings of the detector `system`.'),
  docker: z
    .strictObject({ resource_attributes: switches(dockerAttributes) })
    .prefault({})
    .describe('Settings of the detector `docker`.'),
  k8snode: k8sNode().prefault({}).describe('Settings of the detector `k8snode`.'),
  k8s_node: k8sNode().prefault({}).describe('Settings of the detector `k8s_node`.'),
})
type Config = z.output<typeof config>

/** The `resource_detection` processor. */
export const resourceDetection = defineProcessor<Config>({
  type: 'resource_detection',
  aliases: ['resourcedetection'],
  stability: 'beta',
  runs: 'each',
  summary: 'Adds to every resource what is known of the place this process runs in.',
  signals: allSignals,
  hold: 'flush',
  config,
  examples: [
    {
      title: 'The host, without asking a name server',
      config: { detectors: ['env', 'system'], system: { hostname_sources: ['os'] } },
    },
    {
      title: 'The node of a cluster and the id of its machine, only where nothing else was said',
      config: {
        detectors: ['k8snode', 'system'],
        override: false,
        timeout: '2s',
        system: { hostname_sources: ['os'], resource_attributes: { 'host.id': { enabled: true } } },
      },
    },
  ],

  touches({ detectors }) {
    return detectors.map(name => ({
      depth: 'resource',
      does: 'edits',
      key: 'detectors',
      what: `what \`${name}\` finds`,
    }))
  },

  create(settings, context) {
    return detecting(settings, detectorsOf(settings), context)
  },
})

function detectorsOf(settings: Config): Detector[] {
  const { env } = process
  const makers: Readonly<Record<DetectorName, () => Detector>> = {
    env: () => envDetector(settings.env.allowlist, env),
    system: () => systemDetector(settings.system.resource_attributes, settings.system.hostname_sources),
    docker: () => dockerDetector(settings.docker.resource_attributes, env),
    k8snode: () => k8sNodeOf(settings.k8snode, env),
    k8s_node: () => k8sNodeOf(settings.k8s_node, env),
  }
  return [...new Set(settings.detectors)].flatMap(name =>
    detectorNames.filter(known => known === name).map(known => makers[known]()),
  )
}

function k8sNodeOf(section: Config['k8snode'], env: NodeJS.ProcessEnv): Detector {
  const { auth_type, node_from_env_var, resource_attributes } = section
  const without = auth_type === 'none' ? { ...resource_attributes, 'k8s.node.uid': { enabled: false } } : undefined
  return k8sNodeDetector(without ?? resource_attributes, node_from_env_var, env)
}

/** A step that edits resources by what `detectors` find. What arrives before they have answered waits, but not for long. */
export function detecting(
  settings: Pick<Config, 'override' | 'timeout' | 'refresh_interval' | 'attributes'>,
  detectors: readonly Detector[],
  context: ProcessorContext,
): Step {
  let edits: Edits | undefined
  let waiting: Held[] | undefined = []
  const release = (attributes: DetectedAttributes): void => {
    edits = editsFor(attributes, settings)
    const all = waiting ?? []
    waiting = undefined
    for (const held of all) held.emit()
  }
  const detection = new Detection({
    detectors,
    timeout: settings.timeout,
    refresh: settings.refresh_interval,
    clock: context.clock,
    log: context.log,
    status: context.status,
    onFound: release,
  })
  const wait = holding(context, {
    start: () => detection.start(),
    stop: () => detection.stop(),
    take(held) {
      if (waiting === undefined) held.emit()
      else waiting.push(held)
    },
    flush() {
      if (waiting !== undefined) release(detection.found)
    },
  })
  const edit = each(context, batch => (edits === undefined ? batch : editResources(batch, edits)))
  return source => edit(wait(source))
}

function editsFor(
  attributes: DetectedAttributes,
  settings: Pick<Config, 'override' | 'attributes'>,
): Edits | undefined {
  const action = settings.override ? 'upsert' : 'insert'
  const only = settings.attributes
  const actions = [...attributes]
    .filter(([name]) => only.length === 0 || only.includes(name))
    .map(([key, value]) => ({ action, key, source: { value } }) as const)
  return actions.length === 0 ? undefined : compileEdits(actions)
}
