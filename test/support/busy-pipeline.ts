/** Limits so small that waiting, splitting, flushing and holding back all happen with a few hundred texts. */
export const busyPipeline = {
  topics: { scores: 'scores', deadLetters: 'dead-letters' },
  limits: { budgetTokens: 256, maxRows: 16, maxWaitMs: 1 },
  maxInFlightBytes: 40_000,
  commitIntervalMs: 2,
  transactions: { transactionMs: 2, transactionMessages: 20 },
  chunkTexts: 16,
  poolWindows: 64,
  sendMessages: 10,
}
