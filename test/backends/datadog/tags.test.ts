import { expect, test } from 'vitest'
import { originOf } from '../../../backends/datadog/host.ts'
import { attributeTexts, tagsOf } from '../../../backends/datadog/tags.ts'
import { attributeTags } from '../../../proto/attributes.ts'
import { encode } from '../../support/otlp.ts'

const resource = (values: Readonly<Record<string, string>>): Buffer =>
  encode('Resource', {
    attributes: Object.entries(values).map(([key, string_value]) => ({ key, value: { string_value } })),
  })
const tagged = (values: Readonly<Record<string, string>>) => {
  const bytes = resource(values)
  return tagsOf(attributeTexts(bytes, 0, bytes.length, attributeTags.resource))
}

test.each([
  ['deployment.environment', 'env'],
  ['deployment.environment.name', 'env'],
  ['service.name', 'service'],
  ['service.version', 'version'],
  ['tags.datadoghq.com/env', 'env'],
  ['container.id', 'container_id'],
  ['container.image.name', 'image_name'],
  ['container.image.tag', 'image_tag'],
  ['cloud.provider', 'cloud_provider'],
  ['cloud.region', 'region'],
  ['cloud.availability_zone', 'zone'],
  ['aws.ecs.cluster.arn', 'ecs_cluster_name'],
  ['k8s.namespace.name', 'kube_namespace'],
  ['k8s.pod.name', 'pod_name'],
  ['k8s.container.name', 'kube_container_name'],
  ['k8s.deployment.name', 'kube_deployment'],
  ['k8s.replicaset.name', 'kube_replica_set'],
  ['k8s.statefulset.name', 'kube_stateful_set'],
  ['k8s.daemonset.name', 'kube_daemon_set'],
  ['k8s.cronjob.name', 'kube_cronjob'],
  ['app.kubernetes.io/component', 'kube_app_component'],
  ['app.kubernetes.io/managed-by', 'kube_app_managed_by'],
  ['datadog.container.tag.team', 'team'],
  ['kube_service', 'kube_service'],
  ['os.type', 'os.type'],
  ['process.command_line', 'process.command_line'],
])('%s becomes the tag %s', (attribute, tag) => {
  expect(tagged({ [attribute]: 'x', unknown: 'y' }).tags).toEqual([`${tag}:x`])
})

test('what is empty makes no tag, and what two attributes say makes one', () => {
  expect(tagged({ 'service.name': '', 'k8s.pod.name': '' }).tags).toEqual([])
  const both = tagged({
    'deployment.environment': 'old',
    'deployment.environment.name': 'new',
    'tags.datadoghq.com/env': 'z',
  })
  expect(both).toMatchObject({ env: 'old', tags: ['env:old'] })
  const container = tagged({ 'datadog.container.tag.pod_name': 'custom', 'k8s.pod.name': 'real', pod_name: 'mapped' })
  expect(container.tags).toEqual(['pod_name:real'])
  expect([...container.container]).toEqual([['pod_name', 'real']])
})

test.each([
  [
    'one process is told by one tag',
    { 'process.command': 'c', 'process.executable.name': 'e' },
    ['process.executable.name:e'],
  ],
])('%s', (_, values, tags) => {
  expect(tagged(values).tags).toEqual(tags)
})

test.each([
  ['a literal host', { host: 'a', 'datadog.host.name': 'b', 'host.name': 'c' }, 'a'],
  ["Datadog's own attribute", { 'datadog.host.name': 'b', 'k8s.node.name': 'n', 'host.name': 'c' }, 'b'],
  [
    'the id of an instance of AWS',
    { 'cloud.provider': 'aws', 'host.id': 'i-1', 'k8s.node.name': 'n', 'host.name': 'ip-1' },
    'i-1',
  ],
  ['no id of an instance of AWS', { 'cloud.provider': 'aws', 'host.name': 'ip-1' }, undefined],
  [
    'an instance of Google and its project',
    { 'cloud.provider': 'gcp', 'host.name': 'vm.c.p.internal', 'cloud.account.id': 'p' },
    'vm.p',
  ],
  ['a virtual machine of Azure', { 'cloud.provider': 'azure', 'host.id': 'vm-1', 'host.name': 'c' }, 'vm-1'],
  ['a node and its cluster', { 'k8s.node.name': 'n', 'k8s.cluster.name': 'c', 'host.name': 'h' }, 'n-c'],
  ['a node', { 'k8s.node.name': 'n', 'host.name': 'h' }, 'n'],
  ["the host's id", { 'host.id': 'id', 'host.name': 'h' }, 'id'],
  ["the host's name", { 'host.name': 'h' }, 'h'],
  ['a name that all machines have', { 'host.name': 'localhost' }, undefined],
  ['an empty name', { 'host.name': '' }, undefined],
  ['nothing', { 'service.name': 's' }, undefined],
])('the host of a resource comes from %s', (_, values, name) => {
  const bytes = resource(values)
  expect(originOf(bytes, 0, bytes.length)).toEqual(name === undefined ? undefined : { kind: 'host', name })
})

test('a task of Fargate has no host', () => {
  const bytes = resource({ 'aws.ecs.launchtype': 'fargate', 'aws.ecs.task.arn': 'arn:1', 'host.name': 'h' })
  expect(originOf(bytes, 0, bytes.length)).toEqual({ kind: 'fargate', name: 'arn:1' })
})
