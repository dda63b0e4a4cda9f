/** What is wrong with a request as HTTP. Its connection ends with the answer: nobody can tell where the next one begins. */
export interface Fault {
  readonly status: number
  readonly message: string
}

/** A fault. */
export const fault = (status: number, message: string): Fault => ({ status, message })
