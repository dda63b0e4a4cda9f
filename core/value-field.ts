/** The field type of values of attributes: every key that takes one is made of it, so that all take the same. */
import * as z from 'zod'
import type { Writable } from '../proto/values.ts'

/** A whole number beyond what a double holds exactly, with every digit. */
const long = z
  .bigint()
  .refine(n => n === BigInt.asIntN(64, n), { error: 'is no whole number of 64 bits; put it in quotes for a text' })

/** A text or a number. */
export const textOrNumber = () => z.union([z.string(), long, z.number()], { error: 'expected a text or a number' })

/** What YAML can say where a value is wanted. */
export const anyValue: z.ZodType<Writable> = z.lazy(() =>
  z.union([z.string(), long, z.number(), z.boolean(), z.null(), z.array(anyValue), z.record(z.string(), anyValue)], {
    error: 'expected a text, a number, a bool, a list or a map',
  }),
)
