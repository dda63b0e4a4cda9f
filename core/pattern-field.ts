/** The field type of regular expressions: every key that takes one is made of it, so that all take the same. */
import * as z from 'zod'
import { compilePattern, type Pattern } from '../proto/pattern.ts'
import { messageOf } from './errors.ts'

/** A regular expression in RE2's syntax, as the Collector has it; stays a text. */
export const pattern = () =>
  z.string({ error: 'expected a regular expression, in quotes' }).superRefine((source, check) => {
    const compiled = checkedPattern(source)
    if ('problem' in compiled) check.addIssue({ code: 'custom', message: compiled.problem })
  })

/** Several of them. None is empty, as a variable that is not set would make it: that matches everywhere. */
export const patterns = () =>
  z.array(
    pattern().refine(
      source => source !== '',
      'an empty regular expression matches everywhere: give one, or remove this',
    ),
  )

/** The pattern, compiled, or what is wrong with it: for keys that are patterns only where another key says so. */
export function checkedPattern(source: string): Pattern | { readonly problem: string } {
  try {
    return compilePattern(source)
  } catch (error) {
    return { problem: `no regular expression: ${messageOf(error)}` }
  }
}
