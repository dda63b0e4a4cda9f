/** The texts a configuration is made of: `--config` values in order, then `--set` values. */
import { closeSync, openSync, readSync } from 'node:fs'
import { messageOf } from '../core/errors.ts'
import { limits, TooMuch } from './limits.ts'
import { nearest } from './nearest.ts'
import type { SourceText } from './place.ts'
import type { Report } from './report.ts'

/** Schemes a text can be fetched by. */
export const schemes = ['env', 'file', 'yaml'] as const

/** Splits `scheme:rest`. A scheme has at least two characters, so that `C:\kymo.yaml` is a path. */
export function splitUri(uri: string): { scheme: string | undefined; rest: string } {
  const [, scheme, rest = uri] = /^([A-Za-z][A-Za-z0-9+.-]+):(.*)$/s.exec(uri) ?? []
  return { scheme, rest }
}

/** What to say of a scheme that is none of ours. */
export function schemeFault(scheme: string): { message: string; hint: string } {
  if (scheme === 'http' || scheme === 'https')
    return {
      message: `configurations are not fetched over ${scheme} yet`,
      hint: `download it first, then use \`file:\``,
    }
  const meant = nearest(scheme, schemes)
  const hint = meant === undefined ? 'use one of `env:`, `file:`, `yaml:`' : `did you mean \`${meant}:\`?`
  return { message: `the scheme \`${scheme}:\` is not supported`, hint }
}

/** What the environment variables of a configuration are called. */
export const variableName = /^[a-zA-Z_][a-zA-Z0-9_]*$/

/** Reads a file that a configuration names. */
export type ReadFile = (path: string) => string

/** Reads it from disk. What has no end, such as a device, is not read for ever. */
export const readText: ReadFile = path => {
  const file = openSync(path, 'r')
  try {
    const pieces: Buffer[] = []
    for (let size = 0; size <= limits.source;) {
      const piece = Buffer.allocUnsafe(64 * 1024)
      const length = readSync(file, piece)
      if (length === 0) return Buffer.concat(pieces).toString('utf8')
      pieces.push(piece.subarray(0, length))
      size += length
    }
    throw new Error(`it has more than ${limits.source} bytes`)
  } finally {
    closeSync(file)
  }
}

/** Reads each file once, however often it is asked for: a pipe has its text only once. */
export function readOnce(readFile: ReadFile = readText): ReadFile {
  const texts = new Map<string, string>()
  return path => {
    const text = texts.get(path) ?? readFile(path)
    texts.set(path, text)
    return text
  }
}

/** Why a file could not be read, without the system call's name around it. */
export function readFailure(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EACCES') return 'this user may not read it'
  if (code === 'EISDIR') return 'it is a directory'
  return messageOf(error)
}

/** Reads the texts. What cannot be read is in the report and missing from the result. */
export function readSources(
  options: {
    readonly sources: readonly string[]
    readonly sets?: readonly string[] | undefined
    readonly builtIn?: string | undefined
    readonly env: NodeJS.ProcessEnv
    readonly text?: { readonly name: string; readonly text: string } | undefined
    readonly readFile?: ReadFile | undefined
    readonly most?: number | undefined
  },
  report: Report,
): SourceText[] {
  const { sets = [], builtIn, env, text: given, readFile = readText } = options
  const sources = given === undefined ? options.sources : []
  const texts: { name: string; text: string }[] = []
  if (given !== undefined) texts.push(given)
  else if (sources.length === 0) {
    if (builtIn === undefined)
      report.error('CONFIG_SOURCE', undefined, 'no configuration given', 'name one with `--config FILE`')
    else texts.push({ name: 'built-in configuration', text: builtIn })
  }
  for (const [index, uri] of sources.entries()) {
    const read = readSource(uri, index, { env, readFile }, report)
    if (read !== undefined) texts.push(read)
  }
  for (const set of sets) {
    const at = set.indexOf('=')
    if (at < 0) {
      const hint = 'write `--set key.of.the.value=value`'
      report.error('CONFIG_SOURCE', undefined, `\`--set ${set}\` has no \`=\``, hint)
      continue
    }
    const key = set.slice(0, at).trim()
    texts.push({ name: `--set ${key}`, text: `${key.replaceAll('.', '::')}: ${set.slice(at + 1).trim()}` })
  }
  if (options.most !== undefined && texts.reduce((sum, { text }) => sum + text.length, 0) > options.most)
    throw new TooMuch()
  tellSizes(texts, report)
  return texts.map(({ name, text }, order) => ({ name, text, order }))
}

/** Tells of texts that are too large, or too many, to be read. */
function tellSizes(texts: readonly { readonly name: string; readonly text: string }[], report: Report): void {
  const { sources, source, sourcesTogether } = limits
  let all = 0
  for (const { name, text } of texts) {
    all += text.length
    if (text.length > source)
      report.error(
        'CONFIG_SOURCE',
        undefined,
        `\`${name}\` has more than ${source} characters`,
        'split it, or leave a part out',
      )
  }
  if (texts.length > sources)
    report.error('CONFIG_SOURCE', undefined, `there are ${texts.length} sources; at most ${sources} are read`)
  else if (all > sourcesTogether)
    report.error('CONFIG_SOURCE', undefined, `the sources have more than ${sourcesTogether} characters together`)
}

function readSource(
  uri: string,
  index: number,
  { env, readFile }: { readonly env: NodeJS.ProcessEnv; readonly readFile: ReadFile },
  report: Report,
): { name: string; text: string } | undefined {
  const { scheme = 'file', rest } = splitUri(uri)
  switch (scheme) {
    case 'file':
      try {
        return { name: rest, text: readFile(rest).replace(/^\uFEFF/, '') }
      } catch (error) {
        report.error('CONFIG_SOURCE', undefined, `cannot read the configuration \`${rest}\`: ${readFailure(error)}`)
        return undefined
      }
    case 'env': {
      const text = env[rest]
      if (text !== undefined) return { name: `env:${rest}`, text }
      report.error('CONFIG_SOURCE', undefined, `\`--config env:${rest}\`: the environment variable is not set`)
      return undefined
    }
    case 'yaml':
      // The text itself may hold secrets, so it has no part in the name.
      return { name: `--config[${index}]`, text: rest }
    default: {
      const { message, hint } = schemeFault(scheme)
      report.error('CONFIG_SOURCE', undefined, `\`--config\`: ${message}`, hint)
      return undefined
    }
  }
}
