/** A few resource attributes as text, for people who ask what data was concerned. */
import { attributeTags, AttributeWalk } from './attributes.ts'
import type { Group } from './group.ts'
import { asBuffer, Range, readKeyValue, readValue, TEXT, text, valueKind, valueText } from './values.ts'

const mostAttributes = 12
const longestText = 120
/** Values beyond this many bytes are not decoded to be shown. */
const longestValue = 2048
/** What stands for a value that is not to be shown. */
export const notShown = '(not redacted yet)'

/**
 * Up to twelve attributes of the group's resource, cut to a readable length; empty where they cannot be read. Without
 * `values` only the keys.
 */
export function sampleResource(group: Group, values = true): Record<string, string> {
  const sample: Record<string, string> = {}
  const key = new Range()
  const value = new Range()
  const { resource, resourceStart, resourceEnd } = group
  try {
    const walk = new AttributeWalk(resource, resourceStart, resourceEnd, attributeTags.resource)
    for (let i = 0; i < mostAttributes && walk.next(); i++) {
      readKeyValue(walk.bytes, walk.from, walk.to, key, value)
      sample[cut(key)] = values ? shown(value) : notShown
    }
  } catch {
    // What cannot be read is no sample; whoever needs it finds the fault.
  }
  return sample
}

function shown(value: Range): string {
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
