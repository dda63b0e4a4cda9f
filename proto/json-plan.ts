/**
 * The schema made ready for OTLP/JSON: per field what is to be done with its value, and its key as bytes. Built once
 * from the table in schema.ts and never changed.
 */
import { Literal } from './json-text.ts'
import { enums, type Field, type Message, messages } from './schema.ts'
import { LENGTH } from './wire.ts'

/** What is done with a single value; an order of its own, so that a switch over it is a jump. */
export const TEXT = 0
export const MESSAGE = 1
export const HEX = 2
export const BASE64 = 3
export const BOOL = 4
export const DOUBLE = 5
/** 64 bits with a fixed size, and as varints. */
export const FIXED64 = 6
export const SFIXED64 = 7
export const UINT64 = 8
export const INT64 = 9
/** 32 bits. */
export const FIXED32 = 10
export const UINT32 = 11
export const INT32 = 12
export const SINT32 = 13
export const ENUM = 14

const kinds = {
  string: TEXT,
  message: MESSAGE,
  bytes: BASE64,
  bool: BOOL,
  double: DOUBLE,
  fixed64: FIXED64,
  sfixed64: SFIXED64,
  uint64: UINT64,
  int64: INT64,
  fixed32: FIXED32,
  uint32: UINT32,
  int32: INT32,
  sint32: SINT32,
  enum: ENUM,
} as const satisfies Record<Field['type'], number>

const noNames: ReadonlyMap<string, number> = new Map()

/** A key with its quotes and colon, `"traceId":`, to be found and written in steps of four bytes. */
export class Label extends Literal {
  readonly field: FieldPlan
  /** The bits of the last word that are the label's. */
  readonly mask: number

  constructor(key: string, field: FieldPlan) {
    super(`"${key}":`)
    this.field = field
    this.mask = -1 >>> ((this.words.length * 4 - this.bytes.length) * 8)
  }

  /** Whether the text goes on with this label, without white space. */
  comes(view: DataView, at: number): boolean {
    const { words } = this
    const last = words.length - 1
    if (at + last * 4 + 4 > view.byteLength) return false
    for (let i = 0; i < last; i++) if (view.getInt32(at + i * 4, true) !== words[i]) return false
    return ((view.getInt32(at + last * 4, true) ^ words[last]) & this.mask) === 0
  }
}

/** One field. */
export class FieldPlan {
  readonly name: string
  readonly number: number
  readonly kind: number
  readonly repeated: boolean
  /** Whether it is a list of numbers, which protobuf packs into one field. */
  readonly packed: boolean
  /** Tag of one value, and of the packed list. */
  readonly tag: number
  readonly packedTag: number
  /** Whether a zero value is left out of the bytes. */
  readonly implicit: boolean
  /** Bit of this field among those of its message, and the bits of all that cannot stand beside it. */
  readonly bit: number
  readonly conflicts: number
  /** The other members of its oneof. */
  readonly rivals: FieldPlan[] = []
  /** Length of an id. */
  readonly idBytes: number
  /** Name of the message or enum, and the names of the enum's values. */
  readonly of: string
  readonly values: ReadonlyMap<string, number>
  /** The key as it is written. */
  readonly label: Label
  /** The message, once all of them are there. */
  plan: Plan
  /** The field whose key most likely comes after this one. */
  next: FieldPlan

  constructor(field: Field, index: number, message: Message, plan: Plan) {
    const { type, oneof } = field
    this.name = field.jsonName
    this.number = field.number
    this.kind = field.hex ? HEX : kinds[type]
    this.repeated = field.repeated
    this.packed = field.repeated && field.wire !== LENGTH
    this.tag = (field.number << 3) | field.wire
    this.packedTag = (field.number << 3) | LENGTH
    this.implicit = !field.optional && !field.repeated
    this.bit = 1 << index
    const members = oneof === undefined ? [field] : message.fields.filter(one => one.oneof === oneof)
    this.conflicts = members.reduce((bits, member) => bits | (1 << message.fields.indexOf(member)), 0)
    this.idBytes = field.name === 'trace_id' ? 16 : 8
    this.of = field.of
    const values = type === 'enum' ? Object.entries(enums).find(([name]) => name === field.of)?.[1] : undefined
    this.values = values === undefined ? noNames : new Map(Object.entries(values))
    this.label = new Label(field.jsonName, this)
    this.plan = plan
    this.next = this
  }
}

const slots = 64
/** Where labels stand by the four bytes after their quote; no key has fewer, with its closing quote. */
const slotOf = (four: number): number => Math.imul(four, 0x9e3779b1) >>> 26

/** One message. */
export class Plan {
  readonly name: string
  /** Place in the list of plans. */
  readonly index: number
  readonly fields: FieldPlan[] = []
  /** Sparse, by field number. */
  readonly byNumber: (FieldPlan | undefined)[] = []
  readonly #labels: Label[][] = Array.from({ length: slots }, () => [])
  readonly #names = new Map<string, FieldPlan>()

  constructor(name: string, index: number) {
    this.name = name
    this.index = index
  }

  add(field: FieldPlan, names: readonly string[]): void {
    const last = this.fields.at(-1)
    if (last !== undefined) last.next = field
    this.fields.push(field)
    field.next = this.fields[0]
    this.byNumber[field.number] = field
    for (const name of new Set(names)) {
      this.#names.set(name, field)
      const label = name === field.name ? field.label : new Label(name, field)
      this.#labels[slotOf(label.bytes.readInt32LE(1))].push(label)
    }
  }

  /** The label of either spelling that comes at `at`, without white space. */
  labelAt(view: DataView, at: number): Label | undefined {
    if (at + 5 > view.byteLength) return undefined
    const labels = this.#labels[slotOf(view.getInt32(at + 1, true))]
    for (let i = 0; i < labels.length; i++) if (labels[i].comes(view, at)) return labels[i]
    return undefined
  }

  /** The field of that name, in either spelling. */
  named(name: string): FieldPlan | undefined {
    return this.#names.get(name)
  }
}

const plans: ReadonlyMap<string, Plan> = build()

function build(): Map<string, Plan> {
  const made = new Map<string, Plan>()
  for (const name of messages.keys()) made.set(name, new Plan(name, made.size))
  for (const [name, message] of messages) {
    const plan = named(made, name)
    message.fields.forEach((field, index) => {
      const inner = field.type === 'message' ? named(made, field.of) : plan
      plan.add(new FieldPlan(field, index, message, inner), [field.jsonName, field.name])
    })
    for (const field of plan.fields) {
      field.rivals.push(...plan.fields.filter(other => other !== field && (field.conflicts & other.bit) !== 0))
    }
  }
  return made
}

function named(of: ReadonlyMap<string, Plan>, name: string): Plan {
  const plan = of.get(name)
  if (plan === undefined) throw new TypeError(`the OTLP schema has no message ${name}`)
  return plan
}

/** How many messages there are. */
export const planCount = plans.size

/** The plan of the message of that name, which must be one of the schema's. */
export const planOf = (message: string): Plan => named(plans, message)
