/** Which host Datadog shows telemetry of a resource under. */
import { attributeTags } from '../../proto/attributes.ts'
import { attributeTexts } from './tags.ts'

/** Where telemetry comes from: a host by its name, or a task of ECS Fargate by its ARN, which has no host. */
export interface Origin {
  readonly kind: 'host' | 'fargate'
  readonly name: string
}

/** Names that every machine has; they would put all of them under one. */
const loopback: ReadonlySet<string> = new Set([
  '0.0.0.0',
  '127.0.0.1',
  'localhost',
  'localhost.localdomain',
  'localhost6.localdomain6',
  'ip6-localhost',
])

/**
 * The origin of a resource, which stands between `start` and `end`; undefined where it does not say.
 * @throws WireError where that is no resource
 */
export function originOf(bytes: Uint8Array, start: number, end: number): Origin | undefined {
  return originOfAttributes(attributeTexts(bytes, start, end, attributeTags.resource))
}

/** The same of attributes that were read before. */
export function originOfAttributes(attributes: ReadonlyMap<string, string>): Origin | undefined {
  const fargate = attributes.get('aws.ecs.launchtype') === 'fargate'
  const task = attributes.get('aws.ecs.task.arn')
  if (fargate && task !== undefined) return { kind: 'fargate', name: task }
  const name = hostname(attributes, fargate)
  return name === undefined || name === '' || loopback.has(name) ? undefined : { kind: 'host', name }
}

function hostname(attributes: ReadonlyMap<string, string>, fargate: boolean): string | undefined {
  const named = attributes.get('host') ?? attributes.get('datadog.host.name')
  if (named !== undefined) return named
  if (fargate) return undefined
  const id = attributes.get('host.id')
  const name = attributes.get('host.name')
  const provider = attributes.get('cloud.provider')
  if (provider === 'aws') return id
  if (provider === 'azure') return id ?? name
  if (provider === 'gcp') return googleName(name, attributes.get('cloud.account.id'))
  return nodeName(attributes) ?? id ?? name
}

/** `<instance>.<project>`, as Datadog's integration for Google Cloud names instances. */
function googleName(name: string | undefined, project: string | undefined): string | undefined {
  if (name === undefined || project === undefined) return undefined
  const parts = name.split('.')
  return `${parts.length > 3 ? parts[0] : name}.${project}`
}

/** `<node>-<cluster>`, as the Agent names nodes of Kubernetes. */
function nodeName(attributes: ReadonlyMap<string, string>): string | undefined {
  const node = attributes.get('k8s.node.name')
  const cluster = attributes.get('k8s.cluster.name')
  return node === undefined || cluster === undefined ? node : `${node}-${cluster}`
}
