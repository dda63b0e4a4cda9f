/** A few resource attributes as text, for people who ask what data was concerned. */
import { attributeTags, AttributeWalk } from './attributes.ts'
import type { Group } from './group.ts'
import { Range, readKeyValue, readValue, text, valueText } from './values.ts'

const mostAttributes = 12
const longestText = 120

/** Up to twelve attributes of the group's resource, cut to a readable length; empty where they cannot be read. */
export function sampleResource(group: Group): Record<string, string> {
  const sample: Record<string, string> = {}
  const key = new Range()
  const value = new Range()
  const { resource, resourceStart, resourceEnd } = group
  try {
    const walk = new AttributeWalk(resource, resourceStart, resourceEnd, attributeTags.resource)
    for (let i = 0; i < mostAttributes && walk.next(); i++) {
      readKeyValue(walk.bytes, walk.from, walk.to, key, value)
      const shown = valueText(readValue(value.bytes, value.start, value.end))
      sample[text(key.bytes, key.start, key.end)] =
        shown.length > longestText ? `${shown.slice(0, longestText)}…` : shown
    }
  } catch {
    // What cannot be read is no sample; whoever needs it finds the fault.
  }
  return sample
}
