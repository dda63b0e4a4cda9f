/**
 * The head of a request, read strictly (RFC 9112; RFC 9110): where two servers could read it differently, it is refused. It is
 * scanned once, as bytes; what most requests do not ask for is made into text when somebody asks.
 */
import { maxHeaderBytes, maxHeaders } from '../header-limits.ts'
import { tlsAtPlainPort, tlsRecord } from '../tls-record.ts'
import { carriageReturn, colon, hosts, lineFeed, space, tab, targets, texts, tokens } from './bytes.ts'
import { type Fault, fault } from './fault.ts'

const malformed = {
  request: fault(400, 'the first line is no `METHOD TARGET HTTP/1.1`'),
  header: fault(400, 'a line of the head is no `name: value`'),
  ending: fault(400, 'a line of the head does not end with \\r\\n, or has a control character'),
  target: fault(400, 'the target is neither a path nor a URL of http'),
  host: fault(400, 'the request needs one `host` header with a host'),
  length: fault(400, '`content-length` is no number, or stands twice'),
  both: fault(400, '`content-length` and `transfer-encoding` exclude each other'),
  coding: fault(400, '`transfer-encoding` must be `chunked`, once, in HTTP/1.1'),
  type: fault(400, '`content-type` stands twice'),
}
/** A TLS handshake: its sender cannot read what it is answered. */
export const tlsFault = fault(400, tlsAtPlainPort)
const unknownCoding = fault(501, '`transfer-encoding` other than `chunked` is not supported')
const unknownMethod = fault(501, 'this server does not know that method')
const unknownVersion = fault(505, 'this server speaks HTTP/1.1')
const unknownExpectation = fault(417, 'the only expectation that can be met is `100-continue`')
const tooMany = fault(431, `a request may have ${maxHeaders} headers`)
const tooLarge = fault(431, `the head of a request may have ${maxHeaderBytes} bytes`)

/** Methods that a server may know. CONNECT is not among them: this is no proxy. */
const methods = new Set(['POST', 'GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PATCH', 'TRACE'])

const endOfHead = Buffer.from('\r\n\r\n')
/** Empty lines that a sender may have put behind its last body (RFC 9112, 2.2). */
const mostEmptyLines = 8
/** `http://host/path?query`; an empty path is `/`. */
const absolute = /^https?:\/\/([^/?]+)(\/[^?]*)?(?:\?(.*))?$/i
/** Headers of which the first counts; others that stand again are a list. */
const single = new Set([
  'authorization',
  'content-type',
  'from',
  'host',
  'if-modified-since',
  'if-unmodified-since',
  'max-forwards',
  'proxy-authorization',
  'referer',
  'user-agent',
])
/** Larger heads are not kept to be compared with the next one. */
const keptMost = 4096

const known = {
  host: Buffer.from('host'),
  expect: Buffer.from('expect'),
  origin: Buffer.from('origin'),
  connection: Buffer.from('connection'),
  contentType: Buffer.from('content-type'),
  contentLength: Buffer.from('content-length'),
  contentEncoding: Buffer.from('content-encoding'),
  transferEncoding: Buffer.from('transfer-encoding'),
}

/** Whether `name`, in lower case, stands at `at`. Of what may be in a name only letters and `-` have a bit like theirs. */
function isName(bytes: Buffer, at: number, name: Buffer): boolean {
  for (let i = 0; i < name.length; i++) if ((bytes[at + i] | 0x20) !== name[i]) return false
  return true
}

/**
 * Where the head that begins at `at` ends: behind its empty line; -1 as long as that has not come, or a fault. What was
 * looked at before ends at `from`.
 */
export function findEnd(bytes: Buffer, at: number, from: number, size: number): number | Fault {
  const most = Math.min(size, at + maxHeaderBytes)
  const start = behindEmptyLines(bytes, at, size)
  if (start < size && bytes[start] === tlsRecord) return tlsFault
  const found = bytes.indexOf(endOfHead, Math.max(start, from - 3))
  if (found >= 0 && found + 4 <= most) return found + 4
  // What is no head is told at once, however much of it is still to come.
  for (let i = Math.max(at, from); i < most; i++) {
    const byte = bytes[i]
    const isBroken = (i > at && bytes[i - 1] === carriageReturn) !== (byte === lineFeed)
    if (isBroken || (texts[byte] === 0 && byte !== carriageReturn && byte !== lineFeed)) return malformed.ending
  }
  return size - at > maxHeaderBytes ? tooLarge : -1
}

/** Where the first line begins: what was left behind a body in front of it is passed over. */
function behindEmptyLines(bytes: Buffer, at: number, size: number): number {
  let start = at
  for (let left = mostEmptyLines; left > 0 && start + 1 < size && bytes[start] === carriageReturn; left--) {
    if (bytes[start + 1] !== lineFeed) break
    start += 2
  }
  return start
}

/** One per connection: what it says is of the request that was read last. */
export class Head {
  method = ''
  /** Without what follows `?`. */
  path = ''
  query = ''
  /** 0 for HTTP/1.0. */
  minor = 1
  /** Bytes of the body; -1 when it is not said. */
  length = -1
  isChunked = false
  /** Whether the sender wants the connection kept. */
  isPersistent = true
  isContinueExpected = false
  contentType: string | undefined
  contentEncoding: string | undefined
  origin: string | undefined
  #bytes = Buffer.alloc(0)
  /** Bytes of the head; 0 when there is none to compare with. */
  #size = 0
  #fields: Map<string, string[]> | undefined
  /** The first fault of those that leave no doubt where the head ends. */
  #fault: Fault | undefined
  #headers = 0
  #coding: string | undefined
  #expectation: string | undefined
  #hasHost = false
  #closes = false
  #keepsAlive = false

  /** Bytes of the head. */
  get size(): number {
    return this.#size
  }

  /** Whether the head at `at` is the last one again, byte by byte: then all that was read of it holds. */
  isAgain(bytes: Buffer, at: number): boolean {
    const size = this.#size
    if (size === 0 || bytes.length - at < size) return false
    return this.#bytes.compare(bytes, at, at + size, 0, size) === 0
  }

  /** Reads the head that stands from `at` to `end`, with its empty line. */
  read(bytes: Buffer, at: number, end: number): Fault | undefined {
    this.#begin()
    const wrong = this.#readRequest(bytes, behindEmptyLines(bytes, at, end), end)
    if (wrong !== undefined) return wrong
    const refused = this.#judge()
    if (refused !== undefined) return refused
    const size = end - at
    // Memory of its own, as the bytes are those of a whole read.
    if (size > this.#bytes.length) this.#bytes = Buffer.allocUnsafeSlow(Math.max(512, size))
    bytes.copy(this.#bytes, 0, at, end)
    this.#size = size
    return undefined
  }

  /** The request is over: a large head is not worth its memory. */
  release(): void {
    if (this.#size <= keptMost) return
    this.#begin()
    this.#bytes = Buffer.alloc(0)
  }

  /** All headers, by name in lower case. */
  fields(): Map<string, string[]> {
    if (this.#fields !== undefined) return this.#fields
    const fields = new Map<string, string[]>()
    const lines = this.#bytes.toString('latin1', 0, this.#size).trimStart().split('\r\n')
    for (let i = 1; i < lines.length - 2; i++) {
      const line = lines[i]
      const at = line.indexOf(':')
      const name = line.slice(0, at).toLowerCase()
      const value = trimmed(line.slice(at + 1))
      const values = fields.get(name)
      if (values === undefined) fields.set(name, [value])
      else values.push(value)
    }
    this.#fields = fields
    return fields
  }

  /** One header, by its name in lower case. */
  header(name: string): string | undefined {
    const values = this.fields().get(name)
    return values === undefined || single.has(name) ? values?.[0] : values.join(name === 'cookie' ? '; ' : ', ')
  }

  #begin(): void {
    this.#size = 0
    this.#fields = undefined
    this.#fault = undefined
    this.#headers = 0
    this.#coding = undefined
    this.#expectation = undefined
    this.#hasHost = false
    this.#closes = false
    this.#keepsAlive = false
    this.length = -1
    this.contentType = undefined
    this.contentEncoding = undefined
    this.origin = undefined
  }

  /** Reads the first line, and what follows it. */
  #readRequest(bytes: Buffer, at: number, end: number): Fault | undefined {
    let i = at
    while (tokens[bytes[i]] === 1) i++
    if (i === at || bytes[i] !== space) return malformed.request
    const method = bytes.toString('latin1', at, i)
    const target = ++i
    while (targets[bytes[i]] === 1) i++
    if (i === target || bytes[i] !== space) return malformed.request
    const version = i + 1
    if (bytes.toString('latin1', version, version + 5) !== 'HTTP/') return malformed.request
    const [major, dot, minor] = [bytes[version + 5] - 0x30, bytes[version + 6], bytes[version + 7] - 0x30]
    const isVersion = major >= 0 && major <= 9 && dot === 0x2e && minor >= 0 && minor <= 9
    const next = version + 10
    if (!isVersion || bytes[next - 2] !== carriageReturn || bytes[next - 1] !== lineFeed) return malformed.request
    this.minor = minor
    this.method = method
    if (major !== 1 || minor > 1) this.#fault = unknownVersion
    else if (!methods.has(method)) this.#fault = unknownMethod
    return this.#readHeaders(bytes, next, end) ?? this.#readTarget(bytes, target, i)
  }

  #readTarget(bytes: Buffer, from: number, to: number): Fault | undefined {
    const target = bytes.toString('latin1', from, to)
    if (bytes[from] === 0x2f) {
      const at = target.indexOf('?')
      this.path = at < 0 ? target : target.slice(0, at)
      this.query = at < 0 ? '' : target.slice(at + 1)
      return undefined
    }
    const parts = absolute.exec(target)
    if (parts !== null && isHost(Buffer.from(parts[1], 'latin1'), 0, parts[1].length)) {
      this.path = parts[2] ?? '/'
      this.query = parts[3] ?? ''
      return undefined
    }
    this.path = target
    this.query = ''
    const isFine = (target === '*' && this.method === 'OPTIONS') || this.#fault !== undefined
    return isFine ? undefined : malformed.target
  }

  #readHeaders(bytes: Buffer, at: number, end: number): Fault | undefined {
    let i = at
    // The last two bytes are the empty line.
    while (i < end - 2) {
      const name = i
      while (tokens[bytes[i]] === 1) i++
      const length = i - name
      if (length === 0 || bytes[i] !== colon) return malformed.header
      i++
      while (bytes[i] === space || bytes[i] === tab) i++
      const value = i
      while (texts[bytes[i]] === 1) i++
      if (bytes[i] !== carriageReturn || bytes[i + 1] !== lineFeed) return malformed.ending
      let last = i
      while (last > value && (bytes[last - 1] === space || bytes[last - 1] === tab)) last--
      i += 2
      this.#headers++
      const wrong = this.#note(bytes, name, length, value, last)
      if (wrong !== undefined) return wrong
    }
    return undefined
  }

  /** Notes a header that means something here. */
  #note(bytes: Buffer, name: number, length: number, from: number, to: number): Fault | undefined {
    switch (length) {
      case 4:
        return isName(bytes, name, known.host) ? this.#noteHost(bytes, from, to) : undefined
      case 6:
        if (isName(bytes, name, known.origin)) this.origin = listed(this.origin, bytes, from, to)
        else if (isName(bytes, name, known.expect)) this.#expectation = listed(this.#expectation, bytes, from, to)
        return undefined
      case 10:
        if (isName(bytes, name, known.connection)) this.#noteConnection(bytes.toString('latin1', from, to))
        return undefined
      case 12:
        if (!isName(bytes, name, known.contentType)) return undefined
        if (this.contentType !== undefined) return malformed.type
        this.contentType = bytes.toString('latin1', from, to)
        return undefined
      case 14:
        return isName(bytes, name, known.contentLength) ? this.#noteLength(bytes, from, to) : undefined
      case 16:
        if (isName(bytes, name, known.contentEncoding)) {
          this.contentEncoding = listed(this.contentEncoding, bytes, from, to)
        }
        return undefined
      case 17:
        if (!isName(bytes, name, known.transferEncoding)) return undefined
        // With a tab beside it some take it for another coding.
        if (this.#coding !== undefined || bytes[from - 1] === tab || bytes[to] === tab) return malformed.coding
        this.#coding = bytes.toString('latin1', from, to).toLowerCase()
        return undefined
      default:
        return undefined
    }
  }

  #noteHost(bytes: Buffer, from: number, to: number): Fault | undefined {
    if (this.#hasHost || !isHost(bytes, from, to)) return malformed.host
    this.#hasHost = true
    return undefined
  }

  #noteLength(bytes: Buffer, from: number, to: number): Fault | undefined {
    if (this.length >= 0 || from === to) return malformed.length
    let length = 0
    for (let i = from; i < to; i++) {
      const digit = bytes[i] - 0x30
      if (digit < 0 || digit > 9) return malformed.length
      length = length * 10 + digit
    }
    // More than can be counted exactly is more than anybody takes.
    this.length = length
    return undefined
  }

  #noteConnection(value: string): void {
    for (const option of value.toLowerCase().split(',')) {
      const name = trimmed(option)
      if (name === 'close') this.#closes = true
      else if (name === 'keep-alive') this.#keepsAlive = true
    }
  }

  /** What the headers mean together. */
  #judge(): Fault | undefined {
    const coding = this.#coding
    const isModern = this.minor > 0
    this.isChunked = coding !== undefined
    this.isPersistent = !this.#closes && (isModern || this.#keepsAlive)
    this.isContinueExpected = false
    if (coding !== undefined) {
      if (this.length >= 0) return malformed.both
      if (!isModern) return malformed.coding
      if (coding !== 'chunked')
        return /^[a-z][\w-]*[\t ]*,[\t ]*chunked$/.test(coding) ? unknownCoding : malformed.coding
    }
    if (this.#fault !== undefined) return this.#fault
    if (isModern && !this.#hasHost) return malformed.host
    if (this.#headers > maxHeaders) return tooMany
    if (this.#expectation === undefined || !isModern) return undefined
    if (this.#expectation.toLowerCase() !== '100-continue') return unknownExpectation
    this.isContinueExpected = true
    return undefined
  }
}

/** A header that may stand more than once. */
function listed(before: string | undefined, bytes: Buffer, from: number, to: number): string {
  const value = bytes.toString('latin1', from, to)
  return before === undefined ? value : `${before}, ${value}`
}

function isHost(bytes: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (hosts[bytes[i]] === 0) return false
  return true
}

const isBlank = (text: string, at: number): boolean => text[at] === ' ' || text[at] === '\t'

/** Without the blanks around it; `trim` would take what is no ASCII, too. */
function trimmed(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && isBlank(text, from)) from++
  while (to > from && isBlank(text, to - 1)) to--
  return text.slice(from, to)
}
