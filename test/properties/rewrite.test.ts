import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeGroups, type Group } from '../../proto/group.ts'
import { readRequest } from '../../proto/request.ts'
import { DROP, KEEP, REPLACE, rewriteItems, type Visitor } from '../../proto/rewrite.ts'
import { signals } from '../../proto/signals.ts'
import {
  canonical,
  countOf,
  decode,
  encode,
  flatten,
  type Plain,
  randomMessage,
  requests,
  tidy,
  untidy,
} from '../support/otlp.ts'

const runs = { numRuns: 400 }
const present = (groups: readonly (Group | undefined)[]): Group[] => groups.filter(group => group !== undefined)
const content = ({ bytes, start, end }: Group): Buffer => bytes.subarray(start, end)
const decisions = fc.array(fc.constantFrom(KEEP, KEEP, DROP, REPLACE), { minLength: 1 })

/** Groups, some of them with another resource, as a step before this one leaves them. */
const withSomeResources = (groups: readonly Group[], which: readonly boolean[]): Group[] =>
  groups.map((group, i) =>
    which[i % which.length] ? group.withResource(encode('Resource', { dropped_attributes_count: 7 })) : group,
  )

test('what the visitor keeps, drops and replaces is kept, dropped and replaced', () => {
  fc.assert(
    fc.property(
      requests(),
      decisions,
      fc.array(fc.boolean(), { minLength: 1 }),
      ({ signal, body, random }, wanted, edited) => {
        const { item } = signals[signal]
        const before = withSomeResources(readRequest(signal, body).groups, edited)
        const replacement = untidy(random, item, randomMessage(random, item), tidy)
        let i = 0
        const result = rewriteItems(signal, before, {
          item(_bytes, _start, _end, out) {
            const decision = wanted[i++ % wanted.length]
            if (decision === REPLACE) {
              out.begin(replacement.length)
              out.put(replacement)
            }
            return decision
          },
        })
        const expected = flatten(signal, encodeGroups(before)).flatMap((flat, at) => {
          const decision = wanted[at % wanted.length]
          if (decision === DROP) return []
          return [decision === KEEP ? flat : { ...flat, item: decode(item, replacement) }]
        })
        const groups = present(result.groups)
        expect(flatten(signal, encodeGroups(groups))).toEqual(expected)
        expect(result.groups.length).toBe(before.length)
        const items = expected.reduce((sum, flat) => sum + countOf(signal, flat.item), 0)
        const dropped = flatten(signal, encodeGroups(before)).reduce(
          (sum, flat, at) => sum + (wanted[at % wanted.length] === DROP ? countOf(signal, flat.item) : 0),
          0,
        )
        expect(result.gone.reduce((sum, one) => sum + one.items, 0)).toBe(dropped)
        for (const { reason, counts, items: all } of result.gone)
          expect([reason, counts.length, counts.reduce((sum, n) => sum + n, 0)]).toEqual([0, before.length, all])
        expect(groups.reduce((sum, group) => sum + group.items, 0)).toBe(items)
        // What was written is read again, with the same items in each group.
        const again = readRequest(signal, encodeGroups(groups))
        expect(again.groups.map(group => group.items)).toEqual(groups.map(group => group.items))
      },
    ),
    runs,
  )
})

test('groups that the visitor leaves alone are shared', () => {
  fc.assert(
    fc.property(requests(), ({ signal, body }) => {
      const { groups } = readRequest(signal, body)
      const result = rewriteItems(signal, groups, { scope: () => KEEP, item: () => KEEP })
      expect(result.made).toBe(0)
      result.groups.forEach((group, i) => expect(group).toBe(groups[i]))
    }),
    runs,
  )
})

test('items and scopes replaced by themselves leave all else as it was, unknown fields too', () => {
  const same: Visitor = {
    scope(bytes, start, end, out) {
      if (start === end) return KEEP
      out.begin(end - start)
      out.copy(bytes, start, end)
      return REPLACE
    },
    item(bytes, start, end, out) {
      out.begin(end - start)
      out.copy(bytes, start, end)
      return REPLACE
    },
  }
  fc.assert(
    fc.property(requests({ split: false }), ({ signal, body }) => {
      const { resourceGroup } = signals[signal]
      const { groups } = readRequest(signal, body)
      const result = present(rewriteItems(signal, groups, same).groups)
      expect(result.map(group => canonical(resourceGroup, content(group)))).toEqual(
        groups.map(group => canonical(resourceGroup, content(group))),
      )
    }),
    runs,
  )
})

test('scopes are replaced, and made where there is none', () => {
  const scope = encode('InstrumentationScope', { name: 'new', attributes: [{ key: 'a', value: { int_value: 1 } }] })
  fc.assert(
    fc.property(requests(), fc.array(fc.boolean(), { minLength: 1 }), ({ signal, body }, which) => {
      const { groups } = readRequest(signal, body)
      const { request } = signals[signal]
      let i = 0
      const result = rewriteItems(signal, groups, {
        scope(_bytes, _start, _end, out) {
          if (!which[i++ % which.length]) return KEEP
          out.begin(scope.length)
          out.put(scope)
          return REPLACE
        },
      })
      expect(result.gone).toEqual([])
      const scopes = (bytes: Buffer): Plain[] => {
        const lists = decode(request, bytes)
        const groupsOf = (Object.values(lists)[0] ?? []) as Plain[]
        const name = `scope_${signal === 'traces' ? 'spans' : signal}`
        return groupsOf.flatMap(group => (group[name] ?? []) as Plain[])
      }
      const expected = scopes(encodeGroups(groups)).map((plain, at) =>
        which[at % which.length] ? { ...plain, scope: decode('InstrumentationScope', scope) } : plain,
      )
      expect(scopes(encodeGroups(present(result.groups)))).toEqual(expected)
    }),
    runs,
  )
})
