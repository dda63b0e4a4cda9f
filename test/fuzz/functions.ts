/** Fuzzing of everything between the bytes of a body and the bytes that an exporter sends, without sockets. */
import { jsonToProtobuf } from '../../proto/json-read.ts'
import { groupsToJson, protobufToJson } from '../../proto/json-write.ts'
import { normalise } from '../../proto/normalise.ts'
import { readRequest } from '../../proto/request.ts'
import { decodeResponse } from '../../proto/response.ts'
import { type Signal, signals } from '../../proto/signals.ts'
import { decodeStatus } from '../../proto/status.ts'
import { WireError } from '../../proto/wire.ts'
import { Random } from '../support/otlp.ts'
import { jsonCorpus, protobufCorpus, type Seed } from './corpus.ts'
import { note, type Tally, tallyOf, timed } from './findings.ts'
import { mutateBytes } from './mutate-bytes.ts'
import { mutateJson } from './mutate-json.ts'
import { judge, typeOf, type Verdict } from './oracle.ts'
import { type Input, startPipeline, type Pipeline } from './pipeline.ts'

/** What is fuzzed, and which inputs of its endless row. */
export interface Range {
  readonly surface: 'protobuf' | 'json'
  readonly seed: number
  readonly from: number
  readonly count: number
  /** Told before each input, for whoever watches. */
  readonly began?: (index: number) => void
}

/** One input may take this long, in milliseconds; a machine with other work to do is given more. */
const patience = 1000
const round = 32

/** Makes input `index` of a surface: always the same. */
export function inputsOf(surface: 'protobuf' | 'json', seed: number): (index: number) => Input {
  const json = surface === 'json'
  const corpus: readonly Seed[] = json ? jsonCorpus() : protobufCorpus()
  return index => {
    const random = new Random(seed * 0x9e3779b1 + index * 0x85ebca6b)
    const { signal, body } = random.pick(corpus)
    const other = random.pick(corpus).body
    return { signal, body: json ? mutateJson(random, body, other) : mutateBytes(random, body, other), json }
  }
}

/** Fuzzes a stretch of inputs. */
export async function fuzzFunctions({ surface, seed, from, count, began }: Range): Promise<Tally> {
  const tally = tallyOf(surface)
  const inputOf = inputsOf(surface, seed)
  let pipeline = await startPipeline()
  const flush = async (inputs: readonly Checked[], clean: boolean): Promise<void> => {
    if (inputs.length === 0) return
    const faults = await throughPipeline(pipeline, inputs, clean)
    if (faults.length === 0) return
    // Which of them it was: each alone, in a pipeline of its own.
    await pipeline.stop()
    const guilty: Checked[] = []
    for (const one of inputs) {
      const alone = await startPipeline()
      if ((await throughPipeline(alone, [one], clean)).length > 0) guilty.push(one)
      await alone.stop()
    }
    for (const { index, body } of guilty.length > 0 ? guilty : inputs) {
      note(tally, { what: faults.join('\n'), seed, index, input: body })
    }
    pipeline = await startPipeline()
  }
  // What the oracle can read must come out readable; what it cannot is let in nevertheless when only items are broken.
  const clean: Checked[] = []
  const other: Checked[] = []
  for (let index = from; index < from + count; index++) {
    began?.(index)
    const input = inputOf(index)
    const since = performance.now()
    const checked = examine(input, fault => note(tally, { what: fault, seed, index, input: input.body }))
    timed(tally, index, since)
    if (performance.now() - since > patience) note(tally, { what: 'took too long', seed, index, input: input.body })
    tally.inputs++
    if (checked.accepted) tally.accepted++
    else tally.refused++
    const list = checked.accepted && checked.readable ? clean : other
    list.push({ ...input, ...checked, index })
    if (list.length === round) await flush(list.splice(0), list === clean)
  }
  await flush(clean, true)
  await flush(other, false)
  await pipeline.stop()
  return tally
}

interface Examined {
  readonly accepted: boolean
  /** Whether the oracle reads it. */
  readonly readable: boolean
  readonly items: number
}
interface Checked extends Input, Examined {
  readonly index: number
}

/** Lets requests through the processors; what should not have been, in words. */
async function throughPipeline(pipeline: Pipeline, inputs: readonly Checked[], clean: boolean): Promise<string[]> {
  const faults: string[] = []
  const answers = await pipeline.push(inputs)
  answers.forEach((answer, i) => {
    const { accepted, items } = inputs[i]
    // Steps that look into items take out what a strict reader does not take, and say so.
    const inPart = (answer === 'partial' || answer === 'rejected') && (!clean || isStrange(inputs[i]))
    const passes = answer === 'success' || inPart
    const refused = typeof answer === 'object'
    if (accepted ? !passes : !refused) faults.push(`answered ${JSON.stringify(answer)}, items ${items}`)
  })
  faults.push(...(await pipeline.settle()))
  const found = pipeline.take()
  faults.push(...found.faults)
  if (clean) faults.push(...found.unreadable)
  return faults
}

/** Whether the oracle passes over what a strict reader of the schema does not: fields of a wrong wire type. */
function isStrange({ signal, body, json }: Input): boolean {
  try {
    const bytes = json ? jsonToProtobuf(signals[signal].request, body) : body
    groupsToJson(signal, readRequest(signal, bytes).groups)
    return false
  } catch (error) {
    if (error instanceof WireError) return true
    throw error
  }
}

/** Calls every reader of a request and compares with the oracle. */
function examine({ signal, body, json }: Input, fault: (what: string) => void): Examined {
  const { request } = signals[signal]
  if (!json) return examineBytes(signal, body, fault)
  const read = attempt(() => jsonToProtobuf(request, body), fault)
  const valid = isJson(body)
  if (typeof read === 'string') return { accepted: false, readable: false, items: 0 }
  if (!valid) fault('taken, but JSON.parse refuses it')
  const verdict = judge(signal, read)
  if (verdict.error !== undefined) fault(`what was made of it cannot be read: ${verdict.error}`)
  const text = attempt(() => protobufToJson(request, read), fault)
  const back = typeof text === 'string' ? text : attempt(() => jsonToProtobuf(request, text), fault)
  if (typeof back === 'string') fault(`what was made of it is not taken: ${back}`)
  else if (!same(request, read, back)) fault(`written and read again it is another: ${String(text)}`)
  return examineBytes(signal, read, fault)
}

function examineBytes(signal: Signal, body: Buffer, fault: (what: string) => void): Examined {
  const { request } = signals[signal]
  const verdict = judge(signal, body)
  const read = attempt(() => readRequest(signal, body), fault)
  compare(read, verdict, fault)
  const normal = attempt(() => normalise(request, body), fault)
  if (typeof normal !== 'string' && verdict.error === undefined && !same(request, normal, body)) {
    fault('in normal form it is another')
  }
  const text = attempt(() => protobufToJson(request, body), fault)
  if (typeof text !== 'string' && !isJson(text)) fault(`written as bad JSON: ${String(text)}`)
  // Answers of destinations are read as well.
  attempt(() => decodeResponse(body), fault)
  attempt(() => decodeStatus(body), fault)
  if (typeof read === 'string') return { accepted: false, readable: verdict.error === undefined, items: 0 }
  return { accepted: true, readable: verdict.error === undefined, items: read.items }
}

/** What protobufjs is lenient with, and Kymo is not. */
const stricter =
  /wire type|nested more|field number 0|out of range|over ten bytes|too many messages|not valid UTF-8|length-delimited/

function compare(
  read: { items: number; groups: readonly { resource: Buffer; resourceStart: number; resourceEnd: number }[] } | string,
  verdict: Verdict,
  fault: (what: string) => void,
): void {
  if (typeof read === 'string') {
    if (verdict.error === undefined && !stricter.test(read)) fault(`refused, but the oracle reads it: ${read}`)
    return
  }
  if (verdict.items >= 0 && verdict.items !== read.items) fault(`${read.items} items, the oracle has ${verdict.items}`)
  const resource = typeOf('Resource')
  for (const group of read.groups) {
    try {
      resource.decode(group.resource.subarray(group.resourceStart, group.resourceEnd))
    } catch (error) {
      // Tags and lengths may have bytes that say nothing; the oracle takes fewer of them.
      if (/invalid (?:length|tag) encoding/.test(String(error))) continue
      fault(`let in with a resource that cannot be read: ${String(error)}`)
    }
  }
}

/** What `read` gives, or the text of its WireError; anything else it throws is a fault. */
function attempt<T>(read: () => T, fault: (what: string) => void): T | string {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof WireError)) fault(error instanceof Error ? (error.stack ?? error.message) : String(error))
    return error instanceof Error ? error.message : String(error)
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function isJson(bytes: Buffer): boolean {
  try {
    // Who reads JSON may pass over a byte order mark.
    JSON.parse(decoder.decode(bytes).replace(/^\uFEFF/, ''))
    return true
  } catch {
    return false
  }
}

/** Whether the oracle reads the same of both. */
function same(request: string, a: Buffer, b: Buffer): boolean {
  if (a.equals(b)) return true
  const type = typeOf(request)
  const canonical = (bytes: Buffer) => Buffer.from(type.encode(type.decode(bytes)).finish())
  return canonical(a).equals(canonical(b))
}
