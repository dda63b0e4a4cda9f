/** A few resource attributes as text, for people who ask what data was concerned. */
import { attributeTags, AttributeWalk, findAttribute } from './attributes.ts'
import type { Group } from './group.ts'
import { textCost } from './room.ts'
import { asBuffer, Range, readKeyValue, readValue, TEXT, text, valueKind, valueText } from './values.ts'

const mostAttributes = 12
/** Attributes that are looked through for those that stand first in a sample. */
const mostLookedAt = 256
const longestText = 120
/** Values beyond this many bytes are not decoded to be shown. */
const longestValue = 2048
/** What stands for a value that is not to be shown. */
export const notShown = '(not redacted yet)'
/** What stands for the value where a resource has no such attribute. */
export const noAttribute = '(none)'

/** The attributes that tell most often whose data it is: they stand first in a sample. */
export const decidingKeys: readonly string[] = ['service.name', 'k8s.namespace.name', 'k8s.pod.name']

/**
 * Up to twelve attributes of the group's resource, cut to a readable length: `first` those of these keys, then whatever
 * stands first; empty where they cannot be read. Without `values` only the keys.
 */
export function sampleResource(
  group: Group,
  values = true,
  first: readonly string[] = decidingKeys,
): Record<string, string> {
  const found = new Map<string, string>()
  const others = new Map<string, string>()
  const key = new Range()
  const value = new Range()
  const { resource, resourceStart, resourceEnd } = group
  try {
    const walk = new AttributeWalk(resource, resourceStart, resourceEnd, attributeTags.resource)
    for (let i = 0; i < mostLookedAt && walk.next(); i++) {
      readKeyValue(walk.bytes, walk.from, walk.to, key, value)
      const name = cut(key)
      const isFirst = first.includes(name)
      if (!isFirst && others.size >= mostAttributes) continue
      const kept = isFirst ? found : others
      if (!kept.has(name)) kept.set(name, values ? shownValue(value) : notShown)
    }
  } catch {
    // What cannot be read is no sample; whoever needs it finds the fault.
  }
  const leading = first.flatMap(name => {
    const text = found.get(name)
    return text === undefined ? [] : [[name, text] as const]
  })
  return Object.fromEntries([...leading, ...others].slice(0, mostAttributes))
}

/** What the groups of one request are like, and how many items are whose. */
export interface Sample {
  /** Some attributes of the first group's resource. */
  readonly attributes: Readonly<Record<string, string>>
  /** Items of all the groups, and of the first; 0 where it is not known which of them are meant. */
  readonly items: number
  readonly first: number
  /** Of the keys that stand first: items by value. What more values than a few have is in none of them. */
  readonly values: Readonly<Record<string, Readonly<Record<string, number>>>>
}

/** Groups that are looked at, and values that are counted for each key. */
const mostGroups = 64
const mostValues = 8

/**
 * A sample of groups, undefined where there is none: `by`, the attribute that decided what became of them, stands first. No
 * value is told that may not be shown, and no count where only a part of them is meant that nobody knows.
 */
export function sampleGroups(
  groups: readonly Group[],
  told: { readonly by: string | undefined; readonly isShown: boolean; readonly isWhole: boolean },
): Sample | undefined {
  const [first] = groups
  if (first === undefined) return undefined
  const { by, isShown, isWhole } = told
  const keys = by === undefined ? decidingKeys : [by, ...decidingKeys.filter(key => key !== by)]
  return {
    attributes: sampleResource(first, isShown, keys),
    items: isWhole ? groups.reduce((sum, { items }) => sum + items, 0) : 0,
    first: isWhole ? first.items : 0,
    values: isWhole && isShown ? Object.fromEntries(keys.map(key => [key, countValues(groups, key)])) : {},
  }
}

/** Bytes that a sample takes at most; of the keys that all have there is one text. */
export function sampleCost({ attributes, values }: Sample): number {
  let cost = 0
  for (const [key, value] of Object.entries(attributes)) cost += textCost(key) + textCost(value)
  for (const counts of Object.values(values)) for (const value of Object.keys(counts)) cost += textCost(value)
  return cost
}

function countValues(groups: readonly Group[], key: string): Record<string, number> {
  const counts = new Map<string, number>()
  const bytes = Buffer.from(key)
  const range = new Range()
  for (const { resource, resourceStart, resourceEnd, items } of groups.slice(0, mostGroups)) {
    let value = noAttribute
    try {
      if (findAttribute(resource, resourceStart, resourceEnd, attributeTags.resource, bytes, range))
        value = shownValue(range) || noAttribute
    } catch {
      // As if it had none.
    }
    const before = counts.get(value)
    if (before !== undefined || counts.size < mostValues) counts.set(value, (before ?? 0) + items)
  }
  return Object.fromEntries(counts)
}

/** A value as it is shown: cut to a readable length. */
export function shownValue(value: Range): string {
  if (valueKind(value.bytes, value.start, value.end, value.other) === TEXT) return cut(value.other)
  if (value.end - value.start > longestValue) return '…'
  const whole = valueText(readValue(value.bytes, value.start, value.end))
  return whole.length > longestText ? `${whole.slice(0, longestText)}…` : whole
}

/** The beginning of a text. No more of it is decoded, in memory of its own: not a part of a long one that would stay. */
function cut({ bytes, start, end }: Range): string {
  // A character has four bytes at most.
  const whole = text(asBuffer(bytes), start, Math.min(end, start + 4 * longestText + 4))
  return whole.length > longestText ? Buffer.from(`${whole.slice(0, longestText)}…`).toString() : whole
}
