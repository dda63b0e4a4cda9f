/** Records of a queue as a file that the receiver `otlp_json_file`, or whoever reads OTLP, takes up again. */
import { messageOf } from '../core/errors.ts'
import type { StoredRecord } from '../core/storage.ts'
import { protobufToJson } from '../proto/json-write.ts'
import { signals } from '../proto/signals.ts'
import type { Flow } from './api.ts'
import type { RecordRange, RecordReader } from './records.ts'

/** Forms of the file, as the exporter `file` writes them. */
export const exportFormats = ['json', 'protobuf'] as const
/** One of these. */
export type ExportFormat = (typeof exportFormats)[number]

/** The key that a line begins with when its record is no valid OTLP and stands there as base64 of what was received. */
export const unreadableKey = 'kymo_unreadable'

const types: Record<ExportFormat, string> = {
  json: 'application/x-ndjson',
  protobuf: 'application/octet-stream',
}

/** A queue that is open to be read. */
export interface OpenQueue {
  readonly reader: RecordReader
  close(): void
}

/** The records in `range`; `open` is called when somebody begins to take them. */
export function exported(open: () => OpenQueue, range: RecordRange, format: ExportFormat): Flow {
  return { contentType: types[format], chunks: chunks(open, range, format) }
}

async function* chunks(open: () => OpenQueue, range: RecordRange, format: ExportFormat): AsyncGenerator<Buffer, void> {
  const { reader, close } = open()
  // Nothing that comes in meanwhile, so that it ends.
  const most = reader.queue.backlog.records
  try {
    for await (const record of reader.records(range, { most, keep: true })) {
      if (format === 'json') yield lineOf(record)
      else {
        const length = Buffer.alloc(4)
        length.writeUInt32BE(record.payload.length)
        yield length
        yield record.payload
      }
    }
  } finally {
    close()
  }
}

function lineOf({ signal, payload, seq }: StoredRecord): Buffer {
  try {
    return Buffer.concat([protobufToJson(signals[signal].request, payload), newline])
  } catch (error) {
    const kept = { [unreadableKey]: messageOf(error), seq, signal, payload: payload.toString('base64') }
    return Buffer.from(`${JSON.stringify(kept)}\n`)
  }
}

const newline = Buffer.from('\n')
