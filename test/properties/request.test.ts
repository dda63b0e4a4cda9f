import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { moveGroups } from '../../proto/cut.ts'
import { encodeGroups, groupsSize, writeGroups } from '../../proto/group.ts'
import { normalise } from '../../proto/normalise.ts'
import { readRequest } from '../../proto/request.ts'
import { signals } from '../../proto/signals.ts'
import { attributeTags, findAttribute } from '../../proto/attributes.ts'
import { Range, readValue } from '../../proto/values.ts'
import { ItemCursor, resourceAttribute } from '../../proto/views.ts'
import { canonical, countOf, decode, flatten, keys, type Plain, requests } from '../support/otlp.ts'
import { attributeOf, comparable, expectedValue } from '../support/values.ts'

const runs = { numRuns: 500 }

/** A decoded request without the groups that have no spans, log records or metrics. */
function withoutEmpty(request: Plain): Plain {
  const lists = Object.entries(request) as [string, Plain[]][]
  const hasItems = (group: Plain): boolean =>
    Object.values(group).some(
      scopes =>
        Array.isArray(scopes) &&
        (scopes as Plain[]).some(scope =>
          Object.entries(scope).some(([key, value]) => key !== 'scope' && Array.isArray(value) && value.length > 0),
        ),
    )
  return Object.fromEntries(
    lists.map(([key, groups]) => [key, groups.filter(hasItems)] as const).filter(([, groups]) => groups.length > 0),
  )
}

test('a request is counted as the oracle counts it, and written again it is the same', () => {
  fc.assert(
    fc.property(requests(), ({ signal, body }) => {
      const { request } = signals[signal]
      const { groups, items } = readRequest(signal, body)
      const expected = flatten(signal, body)
      expect(items).toBe(expected.reduce((sum, { item }) => sum + countOf(signal, item), 0))
      expect(groups.reduce((sum, group) => sum + group.items, 0)).toBe(items)
      const written = encodeGroups(groups)
      expect(written.length).toBe(groupsSize(groups))
      // What a sender puts beside the groups is not part of any, and is left behind, as are groups without anything in them.
      expect(decode(request, written)).toEqual(withoutEmpty(decode(request, body)))
    }),
    runs,
  )
})

test('what the schema does not know is kept, in groups and below', () => {
  fc.assert(
    fc.property(requests({ split: false }), ({ signal, body }) => {
      const { resourceGroup } = signals[signal]
      const { groups } = readRequest(signal, body)
      for (const group of groups) {
        const alone = encodeGroups([group])
        const [moved] = moveGroups([group], alone)
        const content = (bytes: Buffer, start: number, end: number) =>
          canonical(resourceGroup, bytes.subarray(start, end))
        expect(content(alone, moved.start, moved.end)).toBe(content(group.bytes, group.start, group.end))
      }
    }),
    runs,
  )
})

test('groups that were moved are the same groups', () => {
  fc.assert(
    fc.property(requests(), fc.array(fc.boolean()), ({ signal, body }, edited) => {
      const { request } = signals[signal]
      const { groups } = readRequest(signal, body)
      const changed = groups.map((group, i) =>
        edited[i] ? group.withResource(Buffer.from('\x0a\x07\x0a\x01k\x12\x02\x18\x05', 'latin1')) : group,
      )
      const out = Buffer.alloc(groupsSize(changed) + 10)
      expect(writeGroups(changed, out, 10)).toBe(out.length)
      const moved = moveGroups(changed, out, 10)
      for (let i = 0; i < moved.length; i++) {
        expect(moved[i].items).toBe(changed[i].items)
        expect(moved[i].size).toBe(changed[i].size)
        expect(resourceAttribute(moved[i], Buffer.from('k'))).toEqual(resourceAttribute(changed[i], Buffer.from('k')))
      }
      expect(decode(request, encodeGroups(moved))).toEqual(decode(request, encodeGroups(changed)))
      expect(decode(request, encodeGroups(moved))).toEqual(decode(request, out.subarray(10)))
    }),
    runs,
  )
})

test('a request in normal form is the same request, with each single message once', () => {
  fc.assert(
    fc.property(requests(), ({ signal, body }) => {
      const { request } = signals[signal]
      const once = normalise(request, body)
      expect(canonical(request, once)).toBe(canonical(request, body))
      expect(normalise(request, once)).toBe(once)
    }),
    runs,
  )
})

test('resource attributes are those the oracle reads, the first of each name', () => {
  fc.assert(
    fc.property(requests(), ({ signal, body }) => {
      const { request } = signals[signal]
      const { groups } = readRequest(signal, body)
      const [list] = Object.values(decode(request, encodeGroups(groups))) as { resource?: Plain }[][]
      groups.forEach((group, g) => {
        for (const key of keys) {
          const attribute = attributeOf(list[g].resource?.['attributes'], key)
          const found = resourceAttribute(group, Buffer.from(key))
          if (attribute === undefined) expect(found).toBe(undefined)
          else expect(comparable(found ?? null)).toEqual(expectedValue(attribute['value']))
        }
      })
    }),
    runs,
  )
})

test('items are found where the oracle finds them, with their scope', () => {
  fc.assert(
    fc.property(requests({ split: false }), ({ signal, body }) => {
      const { groups } = readRequest(signal, body)
      const { item } = signals[signal]
      const expected = flatten(signal, body)
      const cursor = new ItemCursor()
      const scope = new Range()
      let at = 0
      for (const group of groups) {
        cursor.set(group)
        while (cursor.nextScope()) {
          const found = cursor.scope(scope)
          const url = cursor.scopeSchemaUrl()
          while (cursor.nextItem()) {
            const { item: want, scope: wantScope, scopeSchema } = expected[at++]
            expect(decode(item, cursor.bytes.subarray(cursor.start, cursor.end))).toEqual(want)
            expect(found).toBe(wantScope !== undefined)
            if (found) {
              expect(decode('InstrumentationScope', scope.bytes.subarray(scope.start, scope.end))).toEqual(wantScope)
            }
            expect(url).toBe(scopeSchema ?? '')
          }
        }
      }
      expect(at).toBe(expected.length)
    }),
    runs,
  )
})

test('attributes of items are found with the tag of their list', () => {
  const tags = { traces: attributeTags.span, logs: attributeTags.logRecord, metrics: attributeTags.metadata } as const
  const lists = { traces: 'attributes', logs: 'attributes', metrics: 'metadata' } as const
  const range = new Range()
  fc.assert(
    fc.property(requests(), ({ signal, body }) => {
      const cursor = new ItemCursor()
      const expected = flatten(signal, body)
      let at = 0
      for (const group of readRequest(signal, body).groups) {
        cursor.set(group)
        while (cursor.nextScope()) {
          while (cursor.nextItem()) {
            const { item } = expected[at++]
            for (const key of keys) {
              const want = attributeOf(item[lists[signal]], key)
              const found = findAttribute(cursor.bytes, cursor.start, cursor.end, tags[signal], Buffer.from(key), range)
              expect(found).toBe(want !== undefined)
              if (!found) continue
              const value = readValue(range.bytes, range.start, range.end)
              expect(comparable(value)).toEqual(expectedValue(want?.['value']))
            }
          }
        }
      }
    }),
    runs,
  )
})
