import * as z from 'zod'
import { defineProcessor } from '../../core/component.ts'
import { secret, texts } from '../../core/fields.ts'
import { patterns } from '../../core/pattern-field.ts'
import type { Touch } from '../../core/touch.ts'
import type { Arena, Edits } from '../../proto/actions.ts'
import { budgetKey } from '../../core/budget.ts'
import { DROP, KEEP, REPLACE, type Visitor } from '../../proto/rewrite.ts'
import { allSignals, type Signal } from '../../proto/signals.ts'
import type { MessageEdit } from '../message-edits.ts'
import { editResources } from '../resource-edits.ts'
import { each, itemJudge } from '../steps.ts'
import { coverageTable } from './coverage.ts'
import { redactMessage } from './redact-message.ts'
import { hashFunctions, Rules } from './rules.ts'
import { ownKeys, summaries } from './summary.ts'

const listed = () => texts().pipe(patterns()).prefault([])

/** Settings of the Collector that would change the data in ways this build cannot: only `enabled: false` is taken. */
const unsupported = (name: string) =>
  z.record(z.string(), z.unknown()).refine(section => !enables(section), {
    error: `\`${name}\` is not supported by this build; remove it, or leave it with \`enabled: false\``,
  })

const enables = (section: unknown): boolean =>
  typeof section === 'object' &&
  section !== null &&
  Object.entries(section).some(([key, value]) => (key === 'enabled' && value === true) || enables(value))

const keyLengths: Readonly<Record<string, number>> = { 'hmac-sha256': 32, 'hmac-sha512': 64 }

const config = z
  .strictObject({
    allow_all_keys: z.boolean().default(false).describe('Whether keys that are not in `allowed_keys` stay, too.'),
    allowed_keys: texts().prefault([]).describe('Keys that stay. All others are removed, also when this is empty.'),
    ignored_keys: texts().prefault([]).describe('Keys that stay with their value, which is not looked at.'),
    ignored_key_patterns: listed().describe('Patterns of keys that stay with their value, which is not looked at.'),
    blocked_key_patterns: listed().describe('Patterns of keys whose values are masked as a whole.'),
    blocked_values: listed().describe('Patterns of what is masked in the values of all other keys.'),
    allowed_values: listed().describe('Patterns of values that are never masked.'),
    redact_all_types: z
      .boolean()
      .default(false)
      .describe('Whether values that are no texts are looked at as text; else their content stays.'),
    redact_texts: z
      .boolean()
      .default(true)
      .describe(
        'Whether `blocked_values` are masked in texts beside attributes, too, such as names and status messages.',
      ),
    strict: z
      .boolean()
      .default(false)
      .describe(
        'Whether items with a value that is too long to be looked at are dropped; else that value is masked whole.',
      ),
    hash_function: z
      .string()
      .transform(name => name.toLowerCase())
      .pipe(z.enum(hashFunctions))
      .default('')
      .describe('What a match is replaced by: its `md5`, `sha1`, `sha3`, `hmac-sha256` or `hmac-sha512`; else `****`.'),
    hmac_key: secret()
      .optional()
      .describe('The key of `hmac-sha256` (32 bytes at least) and `hmac-sha512` (64 bytes).'),
    summary: z
      .enum(summaries)
      .default('silent')
      .describe(
        'What is told in attributes `redaction.*`: nothing, counts (`info`), or keys as well (`debug`), up to 64 KiB of them.',
      ),
    url_sanitizer: unsupported('url_sanitizer').optional().describe('Not supported: only `enabled: false` is taken.'),
    db_sanitizer: unsupported('db_sanitizer').optional().describe('Not supported: only `enabled: false` is taken.'),
  })
  .superRefine(({ hash_function: name, hmac_key: key }, check) => {
    const least = keyLengths[name]
    if (least === undefined || Buffer.byteLength(key?.reveal() ?? '') >= least) return
    const message = `\`hash_function: ${name}\` needs an \`hmac_key\` of at least ${least} bytes`
    check.addIssue({ code: 'custom', message, path: ['hmac_key'] })
  })
type Config = z.output<typeof config>

const tooLong = 'too_long'

/** The `redaction` processor. */
export const redaction = defineProcessor<Config>({
  type: 'redaction',
  stability: 'beta',
  runs: 'each',
  summary: 'Removes attributes that are not allowed, and masks what must not be seen in values and bodies.',
  signals: allSignals,
  hold: 'none',
  redacts: true,
  table: coverageTable,
  config,
  examples: [
    {
      title: 'Only known keys, and no card numbers in them',
      config: {
        allowed_keys: ['description', 'group', 'id', 'name'],
        ignored_keys: ['safe_attribute'],
        blocked_values: ['4[0-9]{12}(?:[0-9]{3})?', '(5[1-5][0-9]{14})'],
        summary: 'info',
      },
    },
    {
      title: 'All keys, but tokens and passwords as hashes',
      config: { allow_all_keys: true, blocked_key_patterns: ['.*token.*', '(?i)password'], hash_function: 'sha3' },
    },
  ],

  touches(settings) {
    const edits = (depth: Touch['depth'], key: string, what: string): Touch => ({ depth, does: 'edits', key, what })
    const keys = settings.allow_all_keys ? 'keys and values' : 'all keys but the allowed'
    const named = settings.allow_all_keys ? 'blocked_values' : 'allowed_keys'
    return [
      edits('resource', named, keys),
      edits('scope', named, keys),
      edits('item', named, keys),
      edits('item', named, 'bodies of log records'),
      ...(settings.redact_texts && settings.blocked_values.length > 0
        ? [edits('item', 'redact_texts', 'names and other texts beside attributes')]
        : []),
      ...(settings.strict
        ? [
            {
              depth: 'item',
              does: 'drops',
              key: 'strict',
              what: 'what is too long to be looked at',
              reason: tooLong,
            } as const,
          ]
        : []),
    ]
  },

  create(settings, context) {
    const rules = new Rules(settings, ownKeys)
    context.host.find(budgetKey)?.turns.start(rules.prepare())
    const edit = (message: string): MessageEdit => redactMessage(message, rules, settings) ?? nothing
    const items = visitorOf(rules, edit('InstrumentationScope'), edit(itemMessages[context.signal]), settings.strict)
    const resources = resourceEdits(rules, edit('Resource'))
    const judge = itemJudge(context, items, [context.reason(tooLong, 'rule')])
    return each(context, batch => judge(editResources(batch, resources)))
  },
})

const itemMessages: Readonly<Record<Signal, string>> = { traces: 'Span', logs: 'LogRecord', metrics: 'Metric' }

const nothing: MessageEdit = { apply: () => false }

/** Redacts scopes and items. Each has an allowance of its own for the time that it may take; what needs more goes if `strict`. */
const visitorOf = (rules: Rules, scope: MessageEdit, item: MessageEdit, strict: boolean): Visitor => ({
  scope(bytes, start, end, out) {
    rules.begin()
    return scope.apply(bytes, start, end, out) ? REPLACE : KEEP
  },
  item(bytes, start, end, out) {
    rules.begin()
    const changed = item.apply(bytes, start, end, out)
    if (strict && rules.unsure) return DROP
    return changed ? REPLACE : KEEP
  },
})

/** Edits of resources, whose results may be of any size. */
const resourceEdits = (rules: Rules, edit: MessageEdit): Edits => ({
  growth: undefined,
  usesContext: false,
  apply(bytes: Buffer, start: number, end: number, out: Arena) {
    rules.begin()
    return edit.apply(bytes, start, end, out)
  },
})
