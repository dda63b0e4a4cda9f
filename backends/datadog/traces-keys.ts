/** Attribute keys that Datadog's rules for spans ask for, and what becomes of each, as tables. */

/** Numbers a few hundred keys, found by their bytes without making a text. */
export class KeyTable {
  readonly names: readonly string[]
  /** Number + 1; 0 is free. */
  readonly #slots: Int16Array
  readonly #mask: number
  readonly #keys: Buffer
  /** Where each key starts; it ends where the next one starts. */
  readonly #starts: Int32Array

  constructor(names: readonly string[]) {
    this.names = names
    let size = 64
    while (size < names.length * 8) size *= 2
    this.#slots = new Int16Array(size)
    this.#mask = size - 1
    this.#keys = Buffer.from(names.join(''))
    this.#starts = new Int32Array(names.length + 1)
    for (let i = 0, at = 0; i < names.length; i++) {
      const length = Buffer.byteLength(names[i])
      this.#starts[i + 1] = at + length
      let slot = hash(this.#keys, at, length) & this.#mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask
      this.#slots[slot] = i + 1
      at += length
    }
  }

  /** The number of the key that is the `length` bytes at `at`; -1 for one that is not in the table. */
  find(bytes: Uint8Array, at: number, length: number): number {
    const slots = this.#slots
    if (length === 0) return -1
    for (let slot = hash(bytes, at, length) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const key = slots[slot] - 1
      if (key < 0) return -1
      const start = this.#starts[key]
      if (this.#starts[key + 1] - start === length && same(this.#keys, start, bytes, at, length)) return key
    }
  }
}

function hash(bytes: Uint8Array, at: number, length: number): number {
  const ends = bytes[at] ^ (bytes[at + length - 1] << 4) ^ (bytes[at + (length >> 1)] << 8)
  const n = Math.imul(ends ^ (bytes[at + (length >> 2)] << 13) ^ (length << 17), 0x9e3779b1)
  return n ^ (n >>> 15)
}

function same(a: Uint8Array, i: number, b: Uint8Array, j: number, length: number): boolean {
  for (let n = 0; n < length; n++) if (a[i + n] !== b[j + n]) return false
  return true
}

/** HTTP attributes as OpenTelemetry calls them, and as Datadog does. */
const httpNames: readonly (readonly [from: string, to: string])[] = [
  ['client.address', 'http.client_ip'],
  ['http.response.body.size', 'http.response.content_length'],
  ['http.response.status_code', 'http.status_code'],
  ['http.request.body.size', 'http.request.content_length'],
  ['http.request.header.referrer', 'http.referrer'],
  ['http.request.method', 'http.method'],
  ['network.protocol.version', 'http.version'],
  ['server.address', 'http.server_name'],
  ['url.full', 'http.url'],
  ['user_agent.original', 'http.useragent'],
]

/** Read by rules of their own and never written as what they are. */
const conventions = ['service.name', 'operation.name', 'resource.name', 'span.type']

/** Written for every span; what a sender says there is not taken. */
const fixed = ['span.kind', 'otel.trace_id', 'otel.status_code']

const others = (
  'http.route url.template db.system.name db.system db.statement db.query.text db.namespace db.name ' +
  'sql.query messaging.system messaging.operation messaging.destination messaging.destination.name ' +
  'rpc.system rpc.system.name rpc.service rpc.method faas.invoked_provider faas.invoked_name ' +
  'faas.trigger graphql.operation.type graphql.operation.name network.protocol.name ' +
  'rpc.grpc.status_code grpc.code rpc.grpc.status.code grpc.status.code rpc.response.status_code ' +
  'deployment.environment.name deployment.environment env service.version version container.id ' +
  'k8s.pod.uid telemetry.sdk.language telemetry.sdk.version _dd.measured _sample_rate ' +
  '_dd.stats_computed _dd.base_service _dd.hostname _dd.origin sampling.priority _sampling_priority_v1 ' +
  '_top_level analytics.event error.msg error.type error.stack error.message'
).split(' ')

/** Tags of the peer that a span talks to, in Datadog's order. */
export const peerTags: readonly string[] = (
  '_dd.base_service active_record.db.vendor amqp.destination amqp.exchange amqp.queue aws.queue.name ' +
  'aws.s3.bucket bucketname cassandra.keyspace db.cassandra.contact.points db.couchbase.seed.nodes ' +
  'db.hostname db.instance db.name db.namespace db.system db.system.name db.type dns.hostname grpc.host ' +
  'hostname http.host http.server_name messaging.destination messaging.destination.name ' +
  'messaging.kafka.bootstrap.servers messaging.rabbitmq.exchange messaging.system mongodb.db ' +
  'msmq.queue.path net.peer.name network.destination.ip network.destination.name out.host peer.hostname ' +
  'peer.service queuename rpc.service rpc.system sequel.db.vendor server.address streamname tablename ' +
  'topicname'
).split(' ')

const names = [...new Set([...conventions, ...fixed, ...httpNames.flat(), ...others, ...peerTags])]

/** All keys that some rule knows; an extended table begins with these numbers. */
export const spanKeys = new KeyTable(names)

/** The same numbers for the same keys, and more for `extra` ones. */
export function extendedKeys(extra: readonly string[]): KeyTable {
  return extra.every(name => names.includes(name)) ? spanKeys : new KeyTable([...new Set([...names, ...extra])])
}

/** The number of a key that is in the table. */
export function keyNumber(name: string): number {
  const found = names.indexOf(name)
  if (found < 0) throw new TypeError(`no rule for spans knows the attribute ${name}`)
  return found
}

/** Under which key (by number) Datadog has the attribute; -1: it is not written. */
export const targets = Int16Array.from(names, name => {
  if (conventions.includes(name) || fixed.includes(name)) return -1
  return keyNumber(httpNames.find(([from]) => from === name)?.[1] ?? name)
})

/** Attributes that can give one meaning, the first that is there; on the span before the resource, key by key. */
const concept = (...keys: readonly string[]): readonly number[] => keys.map(keyNumber)

/** Meanings by name. */
export const concepts = {
  baseService: concept('_dd.base_service'),
  containerId: concept('container.id'),
  dbNamespace: concept('db.namespace'),
  dbStatement: concept('db.statement', 'db.query.text'),
  dbSystem: concept('db.system.name', 'db.system'),
  environment: concept('deployment.environment.name', 'deployment.environment'),
  faasName: concept('faas.invoked_name'),
  faasProvider: concept('faas.invoked_provider'),
  faasTrigger: concept('faas.trigger'),
  graphqlName: concept('graphql.operation.name'),
  graphqlType: concept('graphql.operation.type'),
  grpcStatus: concept('rpc.grpc.status_code', 'grpc.code', 'rpc.grpc.status.code', 'grpc.status.code'),
  httpMethod: concept('http.request.method', 'http.method'),
  httpRoute: concept('http.route'),
  httpStatus: concept('http.status_code', 'http.response.status_code'),
  messagingDestination: concept('messaging.destination', 'messaging.destination.name'),
  messagingOperation: concept('messaging.operation'),
  messagingSystem: concept('messaging.system'),
  operationName: concept('operation.name'),
  protocolName: concept('network.protocol.name'),
  resourceName: concept('resource.name'),
  rpcMethod: concept('rpc.method'),
  rpcService: concept('rpc.service'),
  rpcStatus: concept('rpc.response.status_code'),
  rpcSystem: concept('rpc.system'),
  rpcSystemName: concept('rpc.system.name'),
  sdkLanguage: concept('telemetry.sdk.language'),
  sdkVersion: concept('telemetry.sdk.version'),
  serviceName: concept('service.name'),
  serviceVersion: concept('service.version'),
  spanType: concept('span.type'),
  statsComputed: concept('_dd.stats_computed'),
  urlTemplate: concept('url.template'),
} as const
