/** The keys of the extension. */
import * as z from 'zod'
import { duration, int } from '../../core/fields.ts'

const units: Readonly<Record<string, number>> = {
  k: 1000,
  m: 1000 ** 2,
  g: 1000 ** 3,
  t: 1000 ** 4,
  ki: 1024,
  mi: 1024 ** 2,
  gi: 1024 ** 3,
  ti: 1024 ** 4,
}

/** A size as a number of bytes, or a text such as `10GiB`. */
const size = (least: number) =>
  z.union([z.number(), z.string()], { error: 'expected a size such as `10GiB`' }).transform((given, context) => {
    const found = /^(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?$/i.exec(String(given).trim())
    const bytes = found === null ? NaN : Math.trunc(Number(found[1]) * (units[found[2]?.toLowerCase() ?? ''] ?? 1))
    if (bytes >= least) return bytes
    const message =
      found === null ? `\`${given}\` is no size; write one such as \`10GiB\`` : `must be at least ${least}`
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  })

const mebibyte = 1024 * 1024

const ignored = (what: string) => what.concat(' Accepted and without effect.')

/** The Collector's keys. Its store never gives space back by itself; this one does. */
const compaction = z.strictObject({
  directory: z.string().optional().describe(ignored('Where to compact.')),
  on_start: z.boolean().optional().describe(ignored('Compact at the start.')),
  on_rebound: z.boolean().optional().describe(ignored('Compact when the store has become small again.')),
  rebound_needed_threshold_mib: int(0).optional().describe(ignored('Size from which on compaction may be needed.')),
  rebound_trigger_threshold_mib: int(0).optional().describe(ignored('Size below which it is done.')),
  max_transaction_size: int(0).optional().describe(ignored('Largest transaction while compacting.')),
  check_interval: duration().optional().describe(ignored('How often to look.')),
  cleanup_on_start: z.boolean().optional().describe(ignored('Remove what an interrupted compaction left.')),
})

/** The Collector's directory, so that its configuration means the same here. */
const defaultDirectory =
  process.platform === 'win32'
    ? `${process.env['ProgramData'] ?? 'C:\\ProgramData'}\\Otelcol\\FileStorage`
    : '/var/lib/otelcol/file_storage'

/** The keys of file_storage. */
export const keys = z.strictObject({
  directory: z
    .string()
    .min(1, { error: '`directory` must not be empty; name a directory' })
    .default(defaultDirectory)
    .describe('Where to store. Each process has a part of it, and no two processes share one.'),
  create_directory: z.boolean().default(false).describe('Make the directory if it is not there.'),
  directory_permissions: z
    .string()
    .default('0700')
    .refine(text => /^0?[0-7]{3}$/.test(text), { error: 'expected octal permissions such as `0750`' })
    .refine(text => !/[2367]$/.test(text), {
      error: 'everybody could write there, and exchange what is stored; at most `0775`',
    })
    .describe('Permissions of directories that are made, in octal. (The Collector has "0750".) Files have 0600.'),
  timeout: duration()
    .prefault('1s')
    .describe('How long to wait at start for another process to let go of the directory.'),
  fsync: z
    .boolean()
    .default(true)
    .describe(
      'Off: success is answered before the data is on the disk; it survives the end of the process, not of the machine. ' +
        '(The Collector has it off.)',
    ),
  max_size: size(8 * mebibyte)
    .prefault('10GiB')
    .describe('Bytes on disk from which on nothing more is taken, without dead letters.'),
  max_age: duration({ exclusive: true })
    .prefault('48h')
    .describe(
      'How long data is kept for a destination that does not take it, or that is not configured any more; then it is given up and counted as lost.',
    ),
  segment_size: size(mebibyte)
    .prefault('32MiB')
    .describe('Size of the files. Space is given back file by file; an eighth of `max_size` at most.'),
  sync_timeout: duration({ exclusive: true })
    .prefault('10s')
    .describe('After how long a write that does not return counts as failed, and senders are refused.'),
  dead_letters: z
    .strictObject({
      enabled: z.boolean().default(true).describe('Keep what destinations rejected, to be looked at and sent again.'),
      max_size: size(8 * mebibyte)
        .prefault('1GiB')
        .describe('Bytes on disk from which on the oldest is given up.'),
      max_age: duration({ exclusive: true }).prefault('168h').describe('How long they are kept.'),
    })
    .prefault({})
    .describe('What destinations rejected.'),
  compaction: compaction
    .nullish()
    .transform(given => given ?? undefined)
    .describe('Accepted and needless: space is given back without it.'),
})

/** The configuration of file_storage. */
export type FileStorageConfig = z.output<typeof keys>
