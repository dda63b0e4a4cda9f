/**
 * OTLP for property tests: protobufjs built from the schema table as the oracle, random messages, and a writer that puts
 * them on the wire as no tidy encoder would but protobuf allows.
 */
import * as fc from 'fast-check'
import protobuf from 'protobufjs'
import { enums, type Field, type Message, messageNamed, messages } from '../../proto/schema.ts'
import { type Signal, signals } from '../../proto/signals.ts'

const declaration = (f: Field): string => {
  const label = f.repeated
    ? 'repeated '
    : f.optional && f.oneof === undefined && f.type !== 'message'
      ? 'optional '
      : ''
  return `${label}${f.of || f.type} ${f.name} = ${f.number};`
}

const definitionOf = ({ name, fields }: Message): string => {
  const oneofs = new Set(fields.map(f => f.oneof).filter(oneof => oneof !== undefined))
  const single = fields.filter(f => f.oneof === undefined).map(declaration)
  const choices = [...oneofs].map(
    oneof =>
      `oneof ${oneof}_choice { ${fields
        .filter(f => f.oneof === oneof)
        .map(declaration)
        .join(' ')} }`,
  )
  return `message ${name} { ${[...single, ...choices].join(' ')} }`
}

const enumOf = ([name, values]: [string, Readonly<Record<string, number>>]): string =>
  `enum ${name} { ${Object.entries(values)
    .map(([value, number]) => `${value} = ${number};`)
    .join(' ')} }`

/** The schema table as a .proto file. */
export const protoFile = [
  'syntax = "proto3";',
  ...Object.entries(enums).map(enumOf),
  ...[...messages.values()].map(definitionOf),
].join('\n')

const root = protobuf.parse(protoFile, { keepCase: true }).root

/** A message as plain values: 64-bit numbers as texts, bytes as `0x...`. */
export type Plain = Record<string, unknown>

const decoded = (message: string, bytes: Uint8Array): protobuf.Message => {
  const reader = protobuf.Reader.create(bytes)
  reader.discardUnknown = false
  return root.lookupType(message).decode(reader)
}

/** What the oracle reads; fields it does not know are left out. @throws where the oracle does */
export function decode(message: string, bytes: Uint8Array): Plain {
  return hexed(root.lookupType(message).toObject(decoded(message, bytes), { longs: String, bytes: Buffer })) as Plain
}

/** The value with bytes as texts, so that a difference can be read. */
function hexed(value: unknown): unknown {
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`
  if (Array.isArray(value)) return value.map(hexed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, hexed(inner)]))
}

/** The oracle's own encoding. */
export function encode(message: string, plain: object): Buffer {
  const type = root.lookupType(message)
  return Buffer.from(type.encode(type.fromObject(plain)).finish())
}

/** The same message in the oracle's own encoding, as hex: equal for equal messages, unknown fields included. */
export function canonical(message: string, bytes: Uint8Array): string {
  return Buffer.from(root.lookupType(message).encode(decoded(message, bytes)).finish()).toString('hex')
}

/** One item of a request with everything that stands above it. */
export interface FlatItem {
  readonly resource: unknown
  readonly resourceSchema: unknown
  readonly scope: unknown
  readonly scopeSchema: unknown
  readonly item: Plain
}

const listOf = (plain: Plain, message: string, number: number): Plain[] =>
  (plain[messageNamed(message).byNumber[number]?.name ?? ''] as Plain[] | undefined) ?? []

/** Spans, log records or data points in one item. */
export function countOf(signal: Signal, item: Plain): number {
  if (signal !== 'metrics') return 1
  for (const kind of ['gauge', 'sum', 'histogram', 'exponential_histogram', 'summary']) {
    const data = item[kind] as Plain | undefined
    if (data !== undefined) return ((data['data_points'] as unknown[] | undefined) ?? []).length
  }
  return 0
}

/** Every item of a request, in order, as the oracle reads it. */
export function flatten(signal: Signal, body: Uint8Array): FlatItem[] {
  const { request, resourceGroup, scopeGroup } = signals[signal]
  return listOf(decode(request, body), request, 1).flatMap(group =>
    listOf(group, resourceGroup, 2).flatMap(scope =>
      listOf(scope, scopeGroup, 2).map(item => ({
        resource: group['resource'],
        resourceSchema: group['schema_url'],
        scope: scope['scope'],
        scopeSchema: scope['schema_url'],
        item,
      })),
    ),
  )
}

/** Random numbers from a seed (mulberry32). */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  /** From 0 to below `n`. */
  next(n: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n)
  }

  chance(of: number): boolean {
    return this.next(of) === 0
  }

  pick<T>(from: readonly T[]): T {
    return from[this.next(from.length)]
  }
}

/** Keys that meet again and again, so that edits find something. */
export const keys = ['service.name', 'k8s.namespace.name', 'a', 'b', 'ä', '', 'http.route', 'long.'.repeat(30)]

const texts = [...keys, 'shop', 'kube-system', 'text ✓ with 🦊', 'x'.repeat(200), '12', '-3.5', 'a-b-c', '\u0000']
const doubles = [0, 1, -1.5, -0, Number.NaN, Infinity, -Infinity, 5e-324, 1.7976931348623157e308, 2 ** 53, 0.1]
const unsigned64 = [
  '0',
  '1',
  '127',
  '128',
  '9007199254740991',
  '9007199254740993',
  '18446744073709551615',
  '1767225600000000000',
]
const signed64 = ['0', '1', '-1', '300', '-9007199254740993', '9223372036854775807', '-9223372036854775808']

function scalar(random: Random, field: Field): unknown {
  switch (field.type) {
    case 'string':
      return random.pick(texts)
    case 'bytes':
      return Buffer.from(Array.from({ length: random.pick([0, 1, 8, 16, 150]) }, () => random.next(256)))
    case 'bool':
      return random.chance(2)
    case 'double':
      return random.pick(doubles)
    case 'fixed64':
    case 'uint64':
      return random.pick(unsigned64)
    case 'sfixed64':
    case 'int64':
      return random.pick(signed64)
    case 'uint32':
    case 'fixed32':
      return random.pick([0, 1, 127, 128, 70_000, 4_294_967_295])
    case 'int32':
    case 'sint32':
      return random.pick([0, 1, -1, 63, -64, 64, 2_147_483_647, -2_147_483_648])
    case 'enum':
      return random.pick([0, 1, 2, 9, 300, -1])
    case 'message':
      throw new TypeError('not a scalar')
  }
}

/** A random message; below `depth` 0 only its single values. */
export function randomMessage(random: Random, name: string, depth = 12): Plain {
  const message = messageNamed(name)
  const plain: Plain = {}
  const member = random.pick(
    message.fields
      .filter(f => f.oneof !== undefined)
      .map(f => f.name)
      .concat('none'),
  )
  const value = (f: Field): unknown =>
    f.type === 'message' ? randomMessage(random, f.of, depth - 1) : scalar(random, f)
  for (const f of message.fields) {
    const wanted = f.oneof === undefined ? !random.chance(3) : f.name === member
    if (!wanted || (f.type === 'message' && (depth <= 0 || (nesting.has(f.of) && random.chance(2))))) continue
    plain[f.name] = f.repeated ? Array.from({ length: random.next(4) }, () => value(f)) : value(f)
  }
  return plain
}

const nesting = new Set(['ArrayValue', 'KeyValueList', 'Exemplar', 'EntityRef', 'Link', 'Event'])

/** How a message is put on the wire. */
export interface Untidiness {
  /** Order of fields; elements of one list always stay in order. */
  readonly order: 'ascending' | 'descending' | 'shuffled'
  /** Varints longer than they need be. */
  readonly padded: boolean
  /** Fields the schema does not have. */
  readonly unknown: boolean
  /** Packed fields one by one, or in several parts; single values twice, the first of them wrong. */
  readonly scattered: boolean
  /** Single messages in two parts, which are to be merged. */
  readonly split: boolean
}

export const tidy: Untidiness = { order: 'ascending', padded: false, unknown: false, scattered: false, split: false }

/** Writes a message by hand. */
export function untidy(random: Random, name: string, plain: Plain, how: Untidiness): Buffer {
  const chunks = messageNamed(name).fields.flatMap(f =>
    plain[f.name] === undefined ? [] : [{ number: f.number, parts: fieldParts(random, f, plain[f.name], how) }],
  )
  if (how.unknown) {
    for (let i = random.next(3); i > 0; i--) chunks.push({ number: 0, parts: [unknownField(random, how)] })
  }
  if (how.order === 'ascending') chunks.sort((a, b) => a.number - b.number)
  if (how.order === 'descending') chunks.sort((a, b) => b.number - a.number)
  if (how.order !== 'shuffled') return Buffer.concat(chunks.flatMap(chunk => chunk.parts))
  const out: Buffer[] = []
  for (const queues = chunks.map(chunk => [...chunk.parts]); queues.some(queue => queue.length > 0);) {
    const part = random.pick(queues).shift()
    if (part !== undefined) out.push(part)
  }
  return Buffer.concat(out)
}

function fieldParts(random: Random, f: Field, value: unknown, how: Untidiness): Buffer[] {
  const tag = (wire: number): Buffer => varint(random, BigInt(f.number * 8 + wire), how, 5)
  const delimited = (content: Buffer): Buffer =>
    Buffer.concat([tag(2), varint(random, BigInt(content.length), how, 5), content])
  if (f.type === 'message') {
    const values = (f.repeated ? value : [value]) as Plain[]
    if (!f.repeated && how.split && random.chance(2)) return splitMessage(random, f, values[0], how).map(delimited)
    return values.map(plain => delimited(untidy(random, f.of, plain, how)))
  }
  const one = (v: unknown): Buffer => scalarBytes(random, f, v, how)
  if (f.type === 'string' || f.type === 'bytes') {
    return ((f.repeated ? value : [value]) as unknown[]).map(v => delimited(one(v)))
  }
  if (!f.repeated) {
    const wrong = how.scattered && random.chance(3) ? [Buffer.concat([tag(f.wire), one(scalar(random, f))])] : []
    return [...wrong, Buffer.concat([tag(f.wire), one(value)])]
  }
  const values = value as unknown[]
  if (!how.scattered) return values.length === 0 ? [] : [delimited(Buffer.concat(values.map(one)))]
  const cut = random.next(values.length + 1)
  return [
    delimited(Buffer.concat(values.slice(0, cut).map(one))),
    ...values.slice(cut).map(v => Buffer.concat([tag(f.wire), one(v)])),
  ]
}

/** A message as two that merge to it. */
function splitMessage(random: Random, f: Field, plain: Plain, how: Untidiness): Buffer[] {
  const first: Plain = {}
  const second: Plain = {}
  for (const [key, value] of Object.entries(plain)) {
    const field = messageNamed(f.of).byName.get(key)
    if (Array.isArray(value) && field?.repeated === true) {
      const cut = random.next(value.length + 1)
      first[key] = value.slice(0, cut)
      second[key] = value.slice(cut)
    } else (random.chance(2) ? first : second)[key] = value
  }
  return [untidy(random, f.of, first, how), untidy(random, f.of, second, how)]
}

function scalarBytes(random: Random, f: Field, value: unknown, how: Untidiness): Buffer {
  const fixed = (write: (out: Buffer) => void, size = 8): Buffer => {
    const out = Buffer.alloc(size)
    write(out)
    return out
  }
  switch (f.type) {
    case 'string':
      return Buffer.from(value as string)
    case 'bytes':
      return value as Buffer
    case 'bool':
      return varint(random, value === true ? 1n : 0n, how, 10)
    case 'double':
      return fixed(out => out.writeDoubleLE(value as number))
    case 'fixed64':
    case 'sfixed64':
      return fixed(out => out.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value as string))))
    case 'fixed32':
      return fixed(out => out.writeUInt32LE(value as number), 4)
    case 'sint32':
      return varint(random, BigInt(((value as number) * 2) ^ ((value as number) >> 31)) & 0xffffffffn, how, 5)
    case 'message':
      throw new TypeError('not a scalar')
    case 'enum':
    case 'int32':
    case 'int64':
    case 'uint32':
    case 'uint64':
      return varint(random, BigInt.asUintN(64, BigInt(value as string | number)), how, 10)
  }
}

/** A varint; with `padded` sometimes longer than need be, up to `longest` bytes. */
export function varint(random: Random, value: bigint, how: Pick<Untidiness, 'padded'>, longest: number): Buffer {
  const out: number[] = []
  let rest = value
  do {
    out.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  } while (rest > 0n)
  if (how.padded && random.chance(4)) {
    for (let more = random.next(longest - out.length + 1); more > 0; more--) out.push(0x80)
  }
  out[out.length - 1] &= 0x7f
  return Buffer.from(out)
}

function unknownField(random: Random, how: Untidiness): Buffer {
  const wire = random.pick([0, 1, 2, 5])
  const tag = varint(random, BigInt(random.pick([100, 1000, 536_870_911]) * 8 + wire), how, 5)
  const content = Buffer.from(Array.from({ length: random.next(20) }, () => random.next(256)))
  if (wire === 0) return Buffer.concat([tag, varint(random, BigInt(random.next(2 ** 31)), how, 10)])
  if (wire === 2) return Buffer.concat([tag, varint(random, BigInt(content.length), how, 5), content])
  return Buffer.concat([tag, Buffer.alloc(wire === 1 ? 8 : 4, 7)])
}

/** A random request: its signal, its bytes, and what they were written from. */
export interface Sample {
  readonly signal: Signal
  readonly body: Buffer
  readonly plain: Plain
  readonly random: Random
}

/** Random requests of all signals, written in every way that protobuf allows; `fixed` rules out some of them. */
export function requests(fixed: Partial<Untidiness> = {}): fc.Arbitrary<Sample> {
  return fc
    .record({
      signal: fc.constantFrom<Signal>('traces', 'metrics', 'logs'),
      seed: fc.integer(),
      order: fc.constantFrom('ascending', 'descending', 'shuffled'),
      padded: fc.boolean(),
      unknown: fc.boolean(),
      scattered: fc.boolean(),
      split: fc.boolean(),
    })
    .map(({ signal, seed, ...how }) => {
      const random = new Random(seed)
      const plain = randomMessage(random, signals[signal].request)
      const body = untidy(random, signals[signal].request, plain, { ...how, ...fixed })
      // A counterexample is its bytes.
      return { signal, plain, random, body, [fc.toStringMethod]: () => `${signal} ${body.toString('hex')}` }
    })
}
