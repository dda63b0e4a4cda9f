/** What commands are told, and the package that reads it. */
import { Command, InvalidArgumentError } from 'commander'
import { parseDuration } from '../core/fields.ts'
import type { Reading } from '../service/access.ts'

/** A command as it is built. */
export type CommandLine = Command

/** A program of this name, without anything it takes. */
export const newCommandLine = (name: string): CommandLine => new Command(name)

/** Where a configuration comes from. */
export interface SourceOptions {
  readonly config: readonly string[]
  readonly set: readonly string[]
  readonly featureGates?: readonly string[] | undefined
}

/** What `kymo run` is told. */
export interface RunOptions extends SourceOptions {
  /** Milliseconds. */
  readonly shutdownTimeout: number
  /** Take the configuration over again when its files change. */
  readonly watch?: boolean
  /** Where the admin server listens, if not where metrics are served. */
  readonly admin?: string
  /** What it is called. */
  readonly adminHost?: readonly string[]
  /** What it tells without the token. */
  readonly adminReads?: Reading
  /** Whether data may be looked at through it. */
  readonly adminTap?: 'on' | 'off'
}

/** Reads a duration that an option is given. */
export function milliseconds(text: string): number {
  const value = parseDuration(text)
  if (value === undefined || value < 0) throw new InvalidArgumentError('write a duration such as `25s` or `500ms`.')
  return value
}

/** How `kymo tap` writes. */
export const tapFormats = ['text', 'json', 'otlp'] as const

/** One of these. */
export type TapFormat = (typeof tapFormats)[number]

/** What the table of components can be sorted by. */
export const sortings = ['rate', 'queue', 'age', 'errors', 'name'] as const

/** One of these. */
export type Sorting = (typeof sortings)[number]
