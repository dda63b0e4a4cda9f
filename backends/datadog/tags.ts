/** Datadog's tags for a resource: its names for what semantic conventions call otherwise. */
import { AttributeWalk } from '../../proto/attributes.ts'
import { Range, readKeyValue, readValue, TEXT, text, valueKind, valueText } from '../../proto/values.ts'

/** What Datadog wants to know of a resource. */
export interface ResourceTags {
  /** Unified service tags; '' where the resource does not say. */
  readonly env: string
  readonly service: string
  readonly version: string
  /** `key:value` of everything that is a tag, for logs and metrics. */
  readonly tags: readonly string[]
  /** Tags of the container, cloud and Kubernetes objects, by Datadog's key. */
  readonly container: ReadonlyMap<string, string>
}

/** Attributes that become one of the three tags that link all signals of a service. */
const unified: ReadonlyMap<string, 'env' | 'service' | 'version'> = new Map([
  ['deployment.environment', 'env'],
  ['deployment.environment.name', 'env'],
  ['service.name', 'service'],
  ['service.version', 'version'],
  ['tags.datadoghq.com/env', 'env'],
  ['tags.datadoghq.com/service', 'service'],
  ['tags.datadoghq.com/version', 'version'],
])

/** Datadog's tag for an attribute of a container, cloud or Kubernetes object. */
export const containerTags: ReadonlyMap<string, string> = new Map([
  ['container.id', 'container_id'],
  ['container.name', 'container_name'],
  ['container.image.name', 'image_name'],
  ['container.image.tag', 'image_tag'],
  ['container.runtime', 'runtime'],
  ['cloud.provider', 'cloud_provider'],
  ['cloud.region', 'region'],
  ['cloud.availability_zone', 'zone'],
  ['aws.ecs.task.family', 'task_family'],
  ['aws.ecs.task.arn', 'task_arn'],
  ['aws.ecs.task.revision', 'task_version'],
  ['aws.ecs.cluster.arn', 'ecs_cluster_name'],
  ['aws.ecs.container.arn', 'ecs_container_name'],
  ['k8s.container.name', 'kube_container_name'],
  ['k8s.cluster.name', 'kube_cluster_name'],
  ['k8s.deployment.name', 'kube_deployment'],
  ['k8s.replicaset.name', 'kube_replica_set'],
  ['k8s.statefulset.name', 'kube_stateful_set'],
  ['k8s.daemonset.name', 'kube_daemon_set'],
  ['k8s.job.name', 'kube_job'],
  ['k8s.cronjob.name', 'kube_cronjob'],
  ['k8s.namespace.name', 'kube_namespace'],
  ['k8s.pod.name', 'pod_name'],
])

/** Attributes that are tags besides: labels that Kubernetes recommends, and what the Agent's own tags are of. */
const others: ReadonlyMap<string, string> = new Map([
  ['app.kubernetes.io/name', 'kube_app_name'],
  ['app.kubernetes.io/instance', 'kube_app_instance'],
  ['app.kubernetes.io/version', 'kube_app_version'],
  ['app.kubernetes.io/component', 'kube_app_component'],
  ['app.kubernetes.io/part-of', 'kube_app_part_of'],
  ['app.kubernetes.io/managed-by', 'kube_app_managed_by'],
  ['service.instance.id', 'service.instance.id'],
  ['os.type', 'os.type'],
])

/** Attributes that have the name of one of the Agent's own tags already. */
const own: ReadonlySet<string> = new Set(
  (
    'architecture availability-zone chronos_job chronos_job_owner cluster_name container_id container_name ' +
    'dd_remote_config_id dd_remote_config_rev display_container_name docker_image ecs_cluster_name ' +
    'ecs_container_name eks_fargate_node env git.commit.sha git.repository_url image_id image_name image_tag ' +
    'kube_app_component kube_app_instance kube_app_managed_by kube_app_name kube_app_part_of kube_app_version ' +
    'kube_container_name kube_cronjob kube_daemon_set kube_deployment kube_job kube_namespace kube_ownerref_kind ' +
    'kube_ownerref_name kube_priority_class kube_qos kube_replica_set kube_replication_controller kube_service ' +
    'kube_stateful_set language marathon_app mesos_task nomad_dc nomad_group nomad_job nomad_namespace nomad_task ' +
    'oshift_deployment oshift_deployment_config os_name os_version persistentvolumeclaim pod_name pod_phase ' +
    'rancher_container rancher_service rancher_stack region service short_image swarm_namespace swarm_service ' +
    'task_name task_family task_version task_arn version'
  ).split(' '),
)

/** Attributes of which the first that is there tells the process. */
const processAttributes = [
  'process.executable.name',
  'process.executable.path',
  'process.command',
  'process.command_line',
]

/** Attributes with this prefix are tags of the container, by what follows it. */
const customPrefix = 'datadog.container.tag.'

/** The attributes of a message as texts; of the first attribute with a name, as everywhere. */
export function attributeTexts(bytes: Uint8Array, start: number, end: number, tag: number): Map<string, string> {
  const texts = new Map<string, string>()
  const key = new Range()
  const value = new Range()
  const walk = new AttributeWalk(bytes, start, end, tag)
  while (walk.next()) {
    readKeyValue(bytes, walk.from, walk.to, key, value)
    const name = text(key.bytes, key.start, key.end)
    if (texts.has(name)) continue
    const kind = valueKind(value.bytes, value.start, value.end, key)
    const isText = kind === TEXT
    texts.set(
      name,
      isText ? text(key.bytes, key.start, key.end) : valueText(readValue(value.bytes, value.start, value.end)),
    )
  }
  return texts
}

/** What Datadog wants to know of a resource with these attributes. */
export function tagsOf(attributes: ReadonlyMap<string, string>): ResourceTags {
  const service: Record<'env' | 'service' | 'version', string> = { env: '', service: '', version: '' }
  const container = new Map<string, string>()
  const custom = new Map<string, string>()
  // A tag that two attributes would make is made once: the same key with two values splits every graph that is grouped by it.
  const tags = new Map<string, string>()
  for (const [name, value] of attributes) {
    if (value === '') continue
    const link = unified.get(name)
    if (link !== undefined) service[link] ||= value
    const tag = containerTags.get(name)
    if (tag !== undefined) container.set(tag, value)
    else if (name.startsWith(customPrefix)) custom.set(name.slice(customPrefix.length), value)
    const other = others.get(name) ?? (own.has(name) ? name : undefined)
    if (other !== undefined) tags.set(other, value)
  }
  for (const [tag, value] of custom) if (tag !== '' && !container.has(tag)) container.set(tag, value)
  for (const [tag, value] of container) tags.set(tag, value)
  const links = Object.entries(service).filter(([, value]) => value !== '')
  for (const [tag, value] of links) tags.set(tag, value)
  const process = processAttributes.find(name => attributes.get(name))
  if (process !== undefined) tags.set(process, attributes.get(process) ?? '')
  return { ...service, tags: Array.from(tags, ([tag, value]) => `${tag}:${value}`), container }
}
