/** Labels as texts: what a resource and a scope give to each series, and the rules by which labels that meet are joined. */
import { AttributeWalk } from '../../proto/attributes.ts'
import { Range, readKeyValue, readValue, text, valueText } from '../../proto/values.ts'

/** How the labels of a series are made of a resource, a scope and the attributes of a point. */
export interface LabelRules {
  /** The name of the label that an attribute becomes; '' leaves the attribute out. */
  labelName(key: string): string
  /** Whether an attribute of a resource becomes a label of each of its series. */
  promotes?(key: string): boolean
  /** Whether series carry the name, version, schema URL and attributes of their scope. */
  readonly scopeLabels?: boolean
  /** Labels of every series that has none of that name. */
  readonly constant?: Readonly<Record<string, string>>
}

/** A key or label name, and what belongs to it. */
export type Pair = readonly [name: string, value: string]

/** A label that only some of a metric's series have, and that tells them apart. */
export type Besides = 'le' | 'quantile'

/** The attributes that become `job` and `instance`. */
export const identifying: ReadonlySet<string> = new Set(['service.name', 'service.namespace', 'service.instance.id'])

/** The attributes of one list as texts. */
export function attributePairs(bytes: Uint8Array, start: number, end: number, tag: number): Pair[] {
  const pairs: Pair[] = []
  const walk = new AttributeWalk(bytes, start, end, tag)
  const key = new Range()
  const value = new Range()
  while (walk.next()) {
    readKeyValue(bytes, walk.from, walk.to, key, value)
    pairs.push([text(key.bytes, key.start, key.end), valueText(readValue(value.bytes, value.start, value.end))])
  }
  return pairs
}

/** What all series of one resource and scope have in common. */
export class LabelBase {
  /** Resource attributes that join the attributes of each point. */
  readonly promoted: readonly Pair[]
  /** Labels that stand above attributes: those of the scope, `job`, `instance`. */
  readonly fixed: readonly Pair[]
  /** Characters of both. */
  readonly size: number
  readonly #rules: LabelRules

  constructor(rules: LabelRules, resource: readonly Pair[], scope: readonly Pair[]) {
    this.#rules = rules
    this.promoted = resource.filter(([key, value]) => value !== '' && rules.promotes?.(key) === true)
    this.fixed = [...scope, ...identity(resource)]
    this.size = [...this.promoted, ...this.fixed].reduce((sum, [name, value]) => sum + name.length + value.length, 0)
  }

  /**
   * The labels of a series with these attributes, sorted by name. Empty values are left out, `__name__` is not among them, nor
   * the label that some of the metric's series have besides (`besides`).
   */
  labels(attributes: readonly Pair[], besides?: Besides): Pair[] {
    // An attribute of the resource stands above one of the point with the same key.
    const ofResource = new Set(this.promoted.map(([key]) => key))
    const own = attributes.filter(([key]) => !ofResource.has(key))
    const labels = joined([...own, ...this.promoted], this.#rules)
    for (const [name, value] of this.fixed) setAbove(labels, name, value)
    for (const [name, value] of Object.entries(this.#rules.constant ?? {})) {
      if (!labels.get(name)) labels.set(name, value)
    }
    if (besides !== undefined) giveWay(labels, besides)
    return sorted(labels)
  }
}

/**
 * The labels of `target_info`, sorted by name: the attributes of a resource that say more than who it is. Undefined where
 * there are none, and where nothing says who it is.
 */
export function targetInfoLabels(rules: LabelRules, resource: readonly Pair[]): Pair[] | undefined {
  const who = identity(resource)
  const more = resource.filter(([key]) => !identifying.has(key))
  if (who.length === 0 || more.length === 0) return undefined
  const labels = joined(more, rules)
  for (const [name, value] of who) setAbove(labels, name, value)
  for (const [name, value] of Object.entries(rules.constant ?? {})) if (!labels.get(name)) labels.set(name, value)
  return sorted(labels)
}

/** The labels that a scope gives to its series. */
export function scopePairs(
  rules: LabelRules,
  scope: { readonly name: string; readonly version: string; readonly schemaUrl: string },
  attributes: readonly Pair[],
): Pair[] {
  const labels = joined(
    attributes.map(([key, value]) => [`otel_scope_${key}`, value] as const),
    rules,
  )
  labels.set('otel_scope_name', scope.name)
  labels.set('otel_scope_version', scope.version)
  labels.set('otel_scope_schema_url', scope.schemaUrl)
  return sorted(labels)
}

/** `job` and `instance` of a resource, as far as it has them. */
function identity(resource: readonly Pair[]): Pair[] {
  const valueOf = (wanted: string): string => resource.find(([key]) => key === wanted)?.[1] ?? ''
  const namespace = valueOf('service.namespace')
  const service = valueOf('service.name')
  const instance = valueOf('service.instance.id')
  const pairs: Pair[] = []
  if (service !== '') pairs.push(['job', namespace === '' ? service : `${namespace}/${service}`])
  if (instance !== '') pairs.push(['instance', instance])
  return pairs
}

/** Sets a label that stands above those of attributes. */
function setAbove(labels: Map<string, string>, name: string, value: string): void {
  if (value === '') return
  giveWay(labels, name)
  labels.set(name, value)
}

/** What is called as a label that stands above it is called as where Prometheus scrapes, so that its series stay apart. */
function giveWay(labels: Map<string, string>, name: string): void {
  const own = labels.get(name)
  if (own === undefined || !labels.delete(name) || own === '') return
  let free = `exported_${name}`
  while (labels.get(free)) free = `exported_${free}`
  labels.set(free, own)
}

/** Attributes as labels; where several become one label their values are joined, in the order of their keys. */
function joined(attributes: readonly Pair[], rules: LabelRules): Map<string, string> {
  const labels = new Map<string, string>()
  for (const [key, value] of attributes.toSorted(byName)) {
    const name = rules.labelName(key)
    if (name === '' || name === '__name__') continue
    const before = labels.get(name)
    labels.set(name, before === undefined ? value : `${before};${value}`)
  }
  return labels
}

const sorted = (labels: Map<string, string>): Pair[] => [...labels].filter(([, value]) => value !== '').sort(byName)

const byName = ([a]: Pair, [b]: Pair): number => compareNames(sortKey(a), sortKey(b))

// oxlint-disable-next-line no-control-regex
const ascii = /^[\u0000-\u007f]*$/

/** A text that sorts as the bytes of `name` do. */
export function sortKey(name: string): string {
  return ascii.test(name) ? name : Buffer.from(name).toString('latin1')
}

/** Which of two sort keys comes first. */
export function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
