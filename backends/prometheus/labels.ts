/**
 * The labels of series, from the bytes of resource, scope and attributes. What a resource and a scope give is worked out once;
 * the labels of attributes that were seen before are found by their bytes.
 */
import { AttributeWalk } from '../../proto/attributes.ts'
import { ByteTable, hashBytes, larger, viewOf } from '../byte-table.ts'
import { Growing } from '../../proto/growing.ts'
import {
  attributePairs,
  type Besides,
  compareNames,
  LabelBase,
  type LabelRules,
  type Pair,
  scopePairs,
  sortKey,
  targetInfoLabels,
} from './label-base.ts'
import { type Extra, extras, placeOf, encodedField, encodedLabel, isText } from './label-bytes.ts'
import { SortedLabels } from './sorted-labels.ts'
import { asBuffer, Range, readKeyValue, readValue, TEXT, text, valueKind, valueText } from '../../proto/values.ts'
import { endless, type Room, Share } from '../../proto/room.ts'
import { fieldNamed, readText } from '../../proto/views.ts'
import { fieldSize, putVarint } from '../../proto/wire.ts'

/** Attribute lists longer than this are sorted as texts. */
const manyAttributes = 64
/** What is kept of a set besides its bytes: the place of each extra, and the hash. */
const PLACES = 4
/** Bytes of what is kept of a resource, a scope or a key besides texts, and of a set besides its bytes. */
const entryCost = 1000
const setCost = (PLACES + 1) * Int32Array.BYTES_PER_ELEMENT * 2
const none = Buffer.alloc(0)
const scopeTag = 0x1a
const resourceTag = 0x0a
const scopeName = fieldNamed('InstrumentationScope', 'name')
const scopeVersion = fieldNamed('InstrumentationScope', 'version')

/** A resource and what has been made of it. */
interface Source {
  readonly pairs: readonly Pair[]
  /** Number of its base without a scope. */
  readonly base: number
  /** Number of the labels of its target_info; -1: it has none; undefined: not asked for yet. */
  info: number | undefined
}

/** A base with its labels one by one. */
interface EncodedBase {
  readonly base: LabelBase
  readonly names: readonly string[]
  readonly labels: readonly Buffer[]
}

/**
 * Finds or makes label sets. Call `resource`, then `scope`, then `point` for each point; after `point` (and `targetInfo`) the
 * fields say where the set stands. A set is written as the labels of a series in remote write 1.0, sorted by name, without
 * `__name__`: for each label 0x0a, length, 0x0a, length, name, 0x12, length, value.
 */
export class LabelSets {
  /** The bytes the set stands in. They may be others after the next call. */
  bytes: Buffer
  start = 0
  end = 0
  /** Number of the set, the same for the same set until `generation` changes; -1: it is not kept. */
  id = -1
  /** A hash of the set's bytes, the same for the same labels. */
  hash = 0
  /** Counts how often everything was forgotten. */
  generation = 0
  readonly #rules: LabelRules
  readonly #limit: number
  readonly #room: Share
  readonly #resources: ByteTable
  readonly #sources: Source[] = []
  /** Schema URLs of scopes, numbered. */
  readonly #urls = new Map<string, number>()
  readonly #scopes: ByteTable
  /** Number of the base of each scope. */
  readonly #scopeBases: number[] = []
  readonly #bases: EncodedBase[] = []
  readonly #sets: ByteTable
  readonly #keys: ByteTable
  /** Label names by number of the key, as sort keys, and their encoded fields. */
  readonly #names: string[] = []
  readonly #nameFields: Buffer[] = []
  #out = new Growing(4096, undefined)
  /** End of each set in `#out`; a set starts where the one before it ends. */
  #ends = new Int32Array(256)
  #places = new Int32Array(256 * PLACES)
  #view: DataView = viewOf(none)
  #viewed: Uint8Array = none
  #source = -1
  #pairs: readonly Pair[] = []
  #baseId = -1
  #base: EncodedBase
  readonly #place = new Int32Array(PLACES)
  readonly #sorted = new SortedLabels(manyAttributes)
  readonly #key = new Range()
  readonly #value = new Range()

  /**
   * @param limit bytes of keys and sets that may be kept; once there are more all are forgotten
   * @param room where memory for them is taken; once there is none left all are forgotten
   */
  constructor(rules: LabelRules, limit = 32 << 20, room: Room = endless) {
    this.#rules = rules
    this.#limit = limit
    this.#room = new Share(room)
    this.#resources = new ByteTable(this.#room)
    this.#scopes = new ByteTable(this.#room)
    this.#sets = new ByteTable(this.#room)
    this.#keys = new ByteTable(this.#room)
    this.bytes = this.#out.bytes
    this.#base = this.#encodedBase([], [])
  }

  /** The content of a Resource message, to which what follows belongs; as a scope without name. */
  resource(bytes: Uint8Array, start: number, end: number): void {
    if (this.#full) this.#forget()
    const view = this.#viewing(bytes)
    const hash = this.#resources.hash(view, start, end, 0)
    let id = this.#resources.find(hash, view, start, end, 0)
    if (id < 0) {
      this.#pairs = attributePairs(bytes, start, end, resourceTag)
      this.#base = this.#encodedBase(this.#pairs, [])
      // Its pairs, and a base made of them.
      id = this.#room.grow(entryCost + 10 * (end - start)) ? this.#resources.add(hash, bytes, start, end, 0) : -1
      // One that finds no place in the table is worked out again the next time.
      if (id >= 0) this.#sources[id] = { pairs: this.#pairs, info: undefined, base: this.#bases.push(this.#base) - 1 }
    }
    this.#source = id
    this.#baseId = id < 0 ? -1 : this.#sources[id].base
    if (id < 0) return
    this.#pairs = this.#sources[id].pairs
    this.#base = this.#bases[this.#baseId]
  }

  /** The content of an InstrumentationScope, to which what follows belongs, and the schema URL beside it. */
  scope(bytes: Uint8Array, start: number, end: number, schemaUrl: string): void {
    if (this.#rules.scopeLabels !== true) return
    const salt = this.#scopeSalt(schemaUrl)
    const view = this.#viewing(bytes)
    const hash = this.#scopes.hash(view, start, end, salt)
    let id = salt < 0 ? -1 : this.#scopes.find(hash, view, start, end, salt)
    this.#baseId = id < 0 ? -1 : this.#scopeBases[id]
    if (id >= 0) {
      this.#base = this.#bases[this.#baseId]
      return
    }
    const name = readText(bytes, start, end, scopeName)
    const version = readText(bytes, start, end, scopeVersion)
    const attributes = attributePairs(bytes, start, end, scopeTag)
    const labels = scopePairs(this.#rules, { name, version, schemaUrl }, attributes)
    this.#base = this.#encodedBase(this.#pairs, labels)
    const isKept = salt >= 0 && this.#room.grow(entryCost + 6 * this.#base.base.size + schemaUrl.length)
    id = isKept ? this.#scopes.add(hash, bytes, start, end, salt) : -1
    if (id >= 0) this.#scopeBases[id] = this.#baseId = this.#bases.push(this.#base) - 1
  }

  /**
   * The labels of a point with these attributes: the range holds a list of them under `tag` and may hold other fields, which
   * then tell sets apart that are the same. `besides`: the extra that series of the metric have.
   */
  point(bytes: Uint8Array, start: number, end: number, tag: number, besides?: Besides): void {
    const view = this.#viewing(bytes)
    const sets = this.#sets
    // The tag is part of the key: other fields of one list may be the attributes of another.
    const salt = (this.#baseId << 9) | (besides === undefined ? 0 : placeOf[besides] << 7) | tag
    const known = this.#baseId >= 0
    const hash = known ? sets.hash(view, start, end, salt) : 0
    const id = known ? sets.find(hash, view, start, end, salt) : -1
    if (id >= 0) return this.#point(id)
    if (!this.#encode(bytes, start, end, tag, besides)) {
      this.#writeAll(this.#base.base.labels(attributePairs(bytes, start, end, tag), besides))
    }
    const isKept = known && !this.#full && this.#room.grow(setCost + 2 * (this.end - this.start))
    this.#keep(isKept ? sets.add(hash, bytes, start, end, salt) : -1)
  }

  /** The labels of the resource's target_info; false where it has none. */
  targetInfo(): boolean {
    const source = this.#source < 0 ? undefined : this.#sources[this.#source]
    if (source?.info !== undefined) {
      if (source.info >= 0) this.#point(source.info)
      return source.info >= 0
    }
    const labels = targetInfoLabels(this.#rules, this.#pairs)
    if (labels === undefined) {
      if (source) source.info = -1
      return false
    }
    this.#writeAll(labels)
    // Under a salt that no attributes have.
    const view = this.#viewing(none)
    const salt = (this.#source << 9) | 0x1ff
    const keep = source !== undefined && !this.#full && this.#room.grow(setCost + 2 * (this.end - this.start))
    const hash = this.#sets.hash(view, 0, 0, salt)
    const id = keep ? this.#sets.add(hash, none, 0, 0, salt) : -1
    if (keep && id >= 0) source.info = id
    this.#keep(id)
    return true
  }

  /** Where a label of that name belongs in the set: the offset in `bytes`. */
  place(extra: Extra): number {
    return this.start + this.#place[placeOf[extra]]
  }

  get #full(): boolean {
    if (this.#room.isShort) return true
    return this.#sets.used + this.#resources.used + this.#scopes.used + this.#out.at + this.#keys.used > this.#limit
  }

  #forget(): void {
    for (const table of [this.#resources, this.#scopes, this.#sets, this.#keys]) table.clear()
    this.#urls.clear()
    for (const list of [this.#sources, this.#bases, this.#scopeBases, this.#names, this.#nameFields]) list.length = 0
    // What has grown far is let go of, too.
    if (this.#out.bytes.length > 1 << 16) this.#out = new Growing(4096, undefined)
    this.#out.at = 0
    this.#room.clear()
    this.generation++
  }

  #viewing(bytes: Uint8Array): DataView {
    if (bytes !== this.#viewed) {
      this.#view = viewOf(bytes)
      this.#viewed = bytes
    }
    return this.#view
  }

  /** What tells the scopes of one resource and schema URL from others; -1 where there are too many of those. */
  #scopeSalt(schemaUrl: string): number {
    const url = this.#urls.get(schemaUrl) ?? this.#urls.size
    if (this.#source < 0 || url > 0xff) return -1
    this.#urls.set(schemaUrl, url)
    return (this.#source << 8) | url
  }

  #encodedBase(resource: readonly Pair[], scope: readonly Pair[]): EncodedBase {
    const base = new LabelBase(this.#rules, resource, scope)
    const pairs = base.labels([])
    return { base, names: pairs.map(([name]) => sortKey(name)), labels: pairs.map(encodedLabel) }
  }

  /** Writes the labels of these attributes; false where that takes a closer look: labels that meet, or very many. */
  #encode(bytes: Uint8Array, start: number, end: number, tag: number, besides: Besides | undefined): boolean {
    if (besides !== undefined && this.#base.names.includes(besides)) return false
    const walk = new AttributeWalk(bytes, start, end, tag)
    let count = 0
    while (walk.next()) {
      if (count === manyAttributes) return false
      const key = this.#readLabel(count, bytes, walk.from, walk.to)
      if (key < 0) return false
      if (this.#names[key] === '') continue
      if (this.#names[key] === besides) return false
      if (!this.#sorted.insert(count++, key, this.#names)) return false
    }
    return this.#merge(count)
  }

  /** Reads an attribute into place `at`, and gives the number of its key. */
  #readLabel(at: number, bytes: Uint8Array, from: number, to: number): number {
    const key = this.#key
    const value = this.#value
    readKeyValue(bytes, from, to, key, value)
    const view = this.#viewing(bytes)
    const hash = this.#keys.hash(view, key.start, key.end, 0)
    let id = this.#keys.find(hash, view, key.start, key.end, 0)
    if (id < 0) {
      id = this.#room.grow(entryCost + 4 * (key.end - key.start))
        ? this.#keys.add(hash, key.bytes, key.start, key.end, 0)
        : -1
      if (id < 0) return -1
      const name = this.#rules.labelName(text(key.bytes, key.start, key.end))
      this.#names[id] = name === '__name__' ? '' : sortKey(name)
      this.#nameFields[id] = encodedField(0x0a, Buffer.from(name))
    }
    const kind = valueKind(value.bytes, value.start, value.end, key)
    if (kind !== TEXT || !isText(key.bytes, key.start, key.end)) {
      const made = Buffer.from(valueText(readValue(value.bytes, value.start, value.end)))
      key.set(made, 0, made.length)
    }
    this.#sorted.put(at, key)
    return id
  }

  /** Writes the sorted labels of a point and those of the base, in order. */
  #merge(count: number): boolean {
    const { names, labels } = this.#base
    const { keys, starts, ends, sources } = this.#sorted
    this.#begin()
    let b = 0
    for (let i = 0; i < count; i++) {
      const key = keys[i]
      const name = this.#names[key]
      for (; b < names.length && compareNames(names[b], name) < 0; b++) this.#writeField(names[b], labels[b])
      if (b < names.length && names[b] === name) return false
      this.#writeLabel(name, this.#nameFields[key], sources[i], starts[i], ends[i])
    }
    for (; b < names.length; b++) this.#writeField(names[b], labels[b])
    this.#finish()
    return true
  }

  #writeAll(labels: readonly Pair[]): void {
    this.#begin()
    for (const pair of labels) this.#writeField(sortKey(pair[0]), encodedLabel(pair))
    this.#finish()
  }

  #begin(): void {
    const kept = this.#sets.size
    this.#out.at = kept === 0 ? 0 : this.#ends[kept - 1]
    this.start = this.#out.at
    this.#place.fill(-1)
  }

  #writeLabel(name: string, nameField: Buffer, value: Uint8Array, from: number, to: number): void {
    const length = to - from
    if (length === 0) return
    const out = this.#out
    const content = nameField.length + fieldSize(length)
    out.ensure(content + 6)
    const start = out.at
    const { bytes } = out
    bytes[out.at++] = 0x0a
    out.at = putVarint(bytes, out.at, content)
    for (let i = 0; i < nameField.length; i++) bytes[out.at++] = nameField[i]
    bytes[out.at++] = 0x12
    out.at = putVarint(bytes, out.at, length)
    if (length < 32) for (let i = from; i < to; i++) bytes[out.at++] = value[i]
    else out.at += asBuffer(value).copy(bytes, out.at, from, to)
    this.#notePlaces(name, start)
  }

  #writeField(name: string, field: Buffer): void {
    const out = this.#out
    out.ensure(field.length)
    const start = out.at
    out.at += field.copy(out.bytes, start)
    this.#notePlaces(name, start)
  }

  /** Remembers where the extras belong, once a name that comes after them was written at `start`. */
  #notePlaces(name: string, start: number): void {
    const place = this.#place
    for (let i = 0; i < extras.length; i++) {
      if (place[i] < 0 && name >= extras[i]) place[i] = start - this.start
    }
  }

  #finish(): void {
    const out = this.#out
    this.bytes = out.bytes
    this.end = out.at
    for (let i = 0; i < extras.length; i++) {
      if (this.#place[i] < 0) this.#place[i] = this.end - this.start
    }
    this.hash = this.#place[PLACES - 1] = hashBytes(out.view, this.start, this.end, 0)
  }

  /** Keeps the set just written as number `id`; with -1 the next one is written over it. */
  #keep(id: number): void {
    this.id = id
    if (id < 0) return
    if (id >= this.#ends.length) {
      this.#ends = larger(this.#ends, this.#ends.length * 2)
      this.#places = larger(this.#places, this.#places.length * 2)
    }
    this.#ends[id] = this.end
    this.#places.set(this.#place, id * PLACES)
  }

  /** Points the fields at set `id`. */
  #point(id: number): void {
    this.id = id
    this.bytes = this.#out.bytes
    this.start = id === 0 ? 0 : this.#ends[id - 1]
    this.end = this.#ends[id]
    const places = this.#places
    const place = this.#place
    for (let i = 0, at = id * PLACES; i < PLACES; i++) place[i] = places[at + i]
    this.hash = place[PLACES - 1]
  }
}
