/** The list of attribute actions as it stands in a configuration (`resource`, `attributes`), with the Collector's keys and checks. */
import * as z from 'zod'
import type { Context } from '../core/context.ts'
import { pattern } from '../core/pattern-field.ts'
import type { Depth, Touch } from '../core/touch.ts'
import { anyValue } from '../core/value-field.ts'
import type { Action, Lookup, Source } from '../proto/actions.ts'
import { compilePattern } from '../proto/pattern.ts'

const names = ['insert', 'update', 'upsert', 'delete', 'hash', 'extract', 'convert'] as const

const raw = z.strictObject({
  key: z.string().default('').describe('The attribute to act on.'),
  action: z
    .string()
    .transform(name => name.toLowerCase())
    .pipe(z.enum(names))
    .describe(
      'What to do: insert, update, upsert, delete, hash, extract or convert. hash is SHA-256 without a key, as in the Collector: whoever can guess a value can find it; the processor redaction has hmac-sha256. Of a value over 8 MiB the first 8 MiB and the length are hashed.',
    ),
  value: anyValue.nullish().describe('The value to set.'),
  from_attribute: z.string().default('').describe('The attribute whose value is set.'),
  from_context: z
    .string()
    .default('')
    .describe('What is known of the request: `metadata.x`, `auth.x` or `client.address`.'),
  pattern: pattern()
    .default('')
    .describe(
      'delete, hash: the keys to act on. extract: what to take from the value; each named group sets one attribute.',
    ),
  converted_type: z.string().default('').describe('convert: int, double or string.'),
})

type Raw = z.output<typeof raw>

/** One action, checked and ready to be compiled. */
const attributeAction = raw.transform((written, check): Action => {
  const problem = (message: string, key: keyof Raw): never => {
    check.addIssue({ code: 'custom', message, path: [key] })
    return z.NEVER
  }
  return toAction(written, problem)
})

/** A list of actions, as `attributes` of the resource processor. */
export const attributeActions = z.array(attributeAction)

type Problem = (message: string, key: keyof Raw) => never

function toAction(written: Raw, problem: Problem): Action {
  const { action, key } = written
  const byPattern = action === 'delete' || action === 'hash'
  if (key === '' && !(byPattern && written.pattern !== '')) {
    return problem(`\`${action}\` needs a \`key\`${byPattern ? ' or a `pattern`' : ''}`, 'key')
  }
  if (action !== 'convert' && written.converted_type !== '') {
    return problem(`\`${action}\` does not use \`converted_type\``, 'converted_type')
  }
  switch (action) {
    case 'insert':
    case 'update':
    case 'upsert':
      return toSet(action, written, problem)
    case 'delete':
    case 'hash':
      return toNamed(action, written, problem)
    case 'extract':
      return toExtract(written, problem)
    case 'convert':
      return toConvert(written, problem)
  }
}

function toSet(action: 'insert' | 'update' | 'upsert', written: Raw, problem: Problem): Action {
  const [source, ...others] = sourcesOf(written)
  if (written.pattern !== '') return problem(`\`${action}\` does not use \`pattern\``, 'pattern')
  if (source === undefined || others.length > 0) {
    return problem(`\`${action}\` needs one of \`value\`, \`from_attribute\` and \`from_context\``, 'value')
  }
  return { action, key: written.key, source }
}

function toNamed(action: 'delete' | 'hash', written: Raw, problem: Problem): Action {
  const { key, pattern: source } = written
  // The Collector lets these have a `from_context`, which does nothing.
  if (sourcesOf({ ...written, from_context: '' }).length > 0) {
    return problem(`\`${action}\` does not use \`value\` or \`from_attribute\``, 'value')
  }
  return {
    action,
    key: key === '' ? undefined : key,
    pattern: source === '' ? undefined : compilePattern(source),
  }
}

function toExtract(written: Raw, problem: Problem): Action {
  if (sourcesOf(written).length > 0) return problem('`extract` sets what its `pattern` finds, not a value', 'value')
  if (written.pattern === '') return problem('`extract` needs a `pattern` with named groups', 'pattern')
  const compiled = compilePattern(written.pattern)
  if (compiled.groups.length === 0 || compiled.groups.includes(undefined)) {
    return problem('every group of the `pattern` of `extract` needs a name: `(?P<name>...)`', 'pattern')
  }
  return { action: 'extract', key: written.key, pattern: compiled }
}

function toConvert(written: Raw, problem: Problem): Action {
  const { key, pattern: source, converted_type: to } = written
  if (sourcesOf(written).length > 0) return problem('`convert` changes the type, it sets no value', 'value')
  if (source !== '') return problem('`convert` does not use `pattern`', 'pattern')
  if (to !== 'int' && to !== 'double' && to !== 'string') {
    return problem('`converted_type` must be int, double or string', 'converted_type')
  }
  return { action: 'convert', key, to }
}

function sourcesOf({ value, from_attribute, from_context }: Raw): Source[] {
  const sources: Source[] = []
  if (value !== undefined && value !== null) sources.push({ value })
  if (from_attribute !== '') sources.push({ fromAttribute: from_attribute })
  if (from_context !== '') sources.push({ fromContext: from_context })
  return sources
}

/** What a list of actions does to the attributes at `depth`; `key` is where the list stands in the configuration. */
export function actionTouches(actions: readonly Action[], depth: Depth, key: string): Touch[] {
  return actions.flatMap((action, i): Touch[] => {
    const edits = (what: string): Touch => ({ depth, does: 'edits', key: `${key}[${i}].action`, what })
    switch (action.action) {
      case 'insert':
      case 'update':
      case 'upsert':
        return [...sourceTouches(action.source, depth, `${key}[${i}]`), edits(action.key)]
      case 'delete':
      case 'hash': {
        const pattern = action.pattern === undefined ? [] : [`keys that match ${action.pattern.source}`]
        return [...(action.key === undefined ? [] : [action.key]), ...pattern].map(edits)
      }
      case 'extract':
        return [
          { depth, does: 'reads', key: `${key}[${i}].pattern`, what: action.key },
          edits(action.pattern.groups.filter(name => name !== undefined).join(', ')),
        ]
      case 'convert':
        return [edits(action.key)]
    }
  })
}

function sourceTouches(source: Source, depth: Depth, key: string): Touch[] {
  if ('fromAttribute' in source) {
    return [{ depth, does: 'reads', key: `${key}.from_attribute`, what: source.fromAttribute }]
  }
  if (!('fromContext' in source)) return []
  const { fromContext: name } = source
  const known = name === 'client.address' || name.startsWith('auth.')
  const what = known ? name : `metadata.${name.replace(/^metadata\./, '').toLowerCase()}`
  return [{ depth: 'request', does: 'reads', key: `${key}.from_context`, what }]
}

/** Answers `from_context`, as the Collector does: several values of one header are joined with `;`. */
export function contextLookup(context: Context): Lookup {
  return name => {
    if (name === 'client.address') return context.peer === undefined ? undefined : hostOf(context.peer)
    if (name.startsWith('auth.')) return context.auth?.get(name.slice('auth.'.length))
    const header = name.startsWith('metadata.') ? name.slice('metadata.'.length) : name
    const values = context.metadata?.get(header.toLowerCase())
    return values === undefined || values.length === 0 ? undefined : values.join(';')
  }
}

/** The address without its port. */
function hostOf(peer: string): string {
  const [, bracketed] = /^\[(.*)\]/.exec(peer) ?? []
  if (bracketed !== undefined) return bracketed
  const colon = peer.lastIndexOf(':')
  return colon >= 0 && peer.indexOf(':') === colon ? peer.slice(0, colon) : peer
}
