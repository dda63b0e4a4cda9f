/** The configuration of the end-to-end tests: a gateway that filters, enriches and batches, and what that makes of data. */
import { attributesOf, type Item, listOf, type Plain } from './otlp-proto.ts'

/** A gateway; `exporters` is the YAML of its exporters, one to a line. */
export const gateway = (
  exporters: readonly (readonly [id: string, config: string])[],
  endpoints = ['127.0.0.1:0', '127.0.0.1:0'],
) => `
receivers:
  otlp:
    protocols:
      grpc: {endpoint: '${endpoints[0]}'}
      http: {endpoint: '${endpoints[1]}'}
processors:
  memory_limiter: {check_interval: 1s, limit_mib: 400}
  namespace_filter: {}
  resource:
    attributes:
      - {key: k8s.cluster.name, value: prod-eu-1, action: upsert}
      - {key: secret.token, action: delete}
  batch: {timeout: 50ms}
exporters:
${exporters.map(([id, config]) => `  ${id}: ${config}`).join('\n')}
service:
  pipelines:
${['traces', 'metrics', 'logs']
  .map(
    signal =>
      `    ${signal}: {receivers: [otlp], processors: [memory_limiter, namespace_filter, resource, batch], exporters: [${exporters.map(([id]) => id).join(', ')}]}`,
  )
  .join('\n')}
`

/** What the gateway makes of an item. */
export function throughGateway(one: Item): Item {
  const attributes = [
    ...listOf(one.resource, 'attributes').filter(({ key }) => key !== 'secret.token'),
    { key: 'k8s.cluster.name', value: { string_value: 'prod-eu-1' } },
  ]
  return { ...one, resource: { ...one.resource, attributes } }
}

/** In an order of its own: two lists with the same items are equal. Attributes of a resource have no order. */
export function inOrder(items: readonly Item[]): Item[] {
  const byKey = (a: Plain, b: Plain) => (String(a['key']) < String(b['key']) ? -1 : 1)
  const texts = items.map(one => {
    const resource = { ...one.resource, attributes: listOf(one.resource, 'attributes').toSorted(byKey) }
    return JSON.stringify({ ...one, resource }, sorted)
  })
  return texts.toSorted().map(text => JSON.parse(text) as Item)
}

/** Fields of each object by name, so that equal objects are equal texts. */
function sorted(_: string, value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** The namespaces of items. */
export const namespaces = (items: readonly Item[]) =>
  new Set(items.map(one => attributesOf(one.resource)['k8s.namespace.name']))
