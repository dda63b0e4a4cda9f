/** Keys that choose by name: `include` and `exclude` with `match_type`. */
import * as z from 'zod'
import { texts } from '../../core/fields.ts'
import { checkedPattern } from '../../core/pattern-field.ts'
import { compilePattern } from '../../proto/pattern.ts'

/** A list of names, or of patterns for them, as a configuration has it. */
export interface NameList {
  readonly match_type?: 'strict' | 'regexp' | undefined
  readonly [names: string]: unknown
}

/** Whether a name is chosen. */
export type NameTest = (name: string) => boolean

/** A list whose names stand at `key`, such as `interfaces`. */
export function nameList(key: string, what: string) {
  return z
    .strictObject({
      [key]: texts().describe(`Names of ${what}, or patterns for them.`).default([]),
      match_type: z
        .enum(['strict', 'regexp'], { error: 'expected `strict` or `regexp`' })
        .optional()
        .describe('`strict`: names as they are; `regexp`: patterns of RE2, which match anywhere in a name.'),
      regexp: z
        .strictObject({
          cacheenabled: z.boolean().optional().describe('Without effect: nothing is cached.'),
          cachemaxnumentries: z.number().optional().describe('Without effect: nothing is cached.'),
        })
        .nullish()
        .describe('A cache of the Collector for what patterns match.'),
    })
    .superRefine((list, check) => {
      const { [key]: given, match_type } = list as NameList
      const names = given as readonly string[]
      if (names.length > 0 && match_type === undefined) {
        const message = 'say how names match: `match_type: strict` or `match_type: regexp`'
        check.addIssue({ code: 'custom', message })
      }
      if (match_type !== 'regexp') return
      names.forEach((source, i) => {
        const compiled = checkedPattern(source)
        if ('problem' in compiled) check.addIssue({ code: 'custom', message: compiled.problem, path: [key, i] })
      })
    })
}

/** What lets a name through that is in `include`, or in none, and not in `exclude`; their names stand at `key`. */
export function chooser(key: string, include: NameList | undefined, exclude: NameList | undefined): NameTest {
  const isIn = testOf(key, include)
  const isOut = testOf(key, exclude)
  return name => (isIn?.(name) ?? true) && !(isOut?.(name) ?? false)
}

function testOf(key: string, list: NameList | undefined): NameTest | undefined {
  const names = (list?.[key] ?? []) as readonly string[]
  if (names.length === 0) return undefined
  if (list?.match_type === 'strict') return name => names.includes(name)
  const patterns = names.map(compilePattern)
  return name => patterns.some(pattern => pattern.matches(name))
}
