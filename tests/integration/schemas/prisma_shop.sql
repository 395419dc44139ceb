-- Copyright (c) 2026 the dbops.postgres authors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later
-- Users, devices, payments and refunds, as `prisma migrate` writes them: quoted names, TEXT ids that the application
-- makes, enums, unique indexes without a constraint, foreign keys at the end. Written for these tests.

-- CreateEnum
CREATE TYPE "PaymentStatus" AS ENUM ('PENDING', 'AUTHORIZED', 'CAPTURED', 'FAILED', 'REFUNDED');
CREATE TYPE "TransactionType" AS ENUM ('AUTH', 'CAPTURE', 'REFUND', 'VOID');
CREATE TYPE "DeviceType" AS ENUM ('IOS', 'ANDROID', 'WEB');

-- CreateTable
CREATE TABLE "User" (
    "id" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "username" VARCHAR(30) NOT NULL,
    "passwordHash" TEXT NOT NULL,
    "isActive" BOOLEAN NOT NULL DEFAULT true,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,
    "deletedAt" TIMESTAMP(3),
    CONSTRAINT "User_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "RefreshToken" (
    "id" TEXT NOT NULL,
    "tokenHash" CHAR(64) NOT NULL,
    "userId" TEXT NOT NULL,
    "deviceId" TEXT,
    "replacedById" TEXT,
    "expiresAt" TIMESTAMP(3) NOT NULL,
    CONSTRAINT "RefreshToken_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Device" (
    "id" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "type" "DeviceType" NOT NULL DEFAULT 'WEB',
    "lastAddress" INET,
    "capabilities" TEXT[] DEFAULT ARRAY[]::TEXT[],
    CONSTRAINT "Device_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "PaymentMethod" (
    "id" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "provider" TEXT NOT NULL,
    "providerRef" TEXT NOT NULL,
    "isDefault" BOOLEAN NOT NULL DEFAULT false,
    "expMonth" INTEGER,
    "expYear" INTEGER,
    CONSTRAINT "PaymentMethod_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Payment" (
    "id" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "methodId" TEXT,
    "amount" DECIMAL(12,2) NOT NULL,
    "currency" CHAR(3) NOT NULL DEFAULT 'EUR',
    "status" "PaymentStatus" NOT NULL DEFAULT 'PENDING',
    "idempotencyKey" UUID NOT NULL,
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "capturedAt" TIMESTAMP(3),
    CONSTRAINT "Payment_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Transaction" (
    "id" BIGSERIAL NOT NULL,
    "paymentId" TEXT NOT NULL,
    "type" "TransactionType" NOT NULL,
    "sequence" INTEGER NOT NULL,
    "gatewayRef" TEXT,
    "raw" JSONB,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "Transaction_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Refund" (
    "id" TEXT NOT NULL,
    "paymentId" TEXT NOT NULL,
    "transactionId" BIGINT,
    "amount" DECIMAL(12,2) NOT NULL,
    "reason" VARCHAR(200),
    CONSTRAINT "Refund_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Coupon" (
    "code" VARCHAR(20) NOT NULL,
    "percent" SMALLINT,
    "amount" DECIMAL(8,2),
    "validFrom" DATE NOT NULL,
    "validUntil" DATE NOT NULL,
    CONSTRAINT "Coupon_pkey" PRIMARY KEY ("code")
);
CREATE TABLE "_CouponToPayment" (
    "A" VARCHAR(20) NOT NULL,
    "B" TEXT NOT NULL
);

-- CreateIndex
CREATE UNIQUE INDEX "User_email_key" ON "User"("email");
CREATE UNIQUE INDEX "User_username_key" ON "User"("username");
CREATE UNIQUE INDEX "RefreshToken_tokenHash_key" ON "RefreshToken"("tokenHash");
CREATE UNIQUE INDEX "RefreshToken_replacedById_key" ON "RefreshToken"("replacedById");
CREATE INDEX "RefreshToken_userId_idx" ON "RefreshToken"("userId");
CREATE INDEX "RefreshToken_deviceId_idx" ON "RefreshToken"("deviceId");
CREATE UNIQUE INDEX "Device_userId_fingerprint_key" ON "Device"("userId", "fingerprint");
CREATE UNIQUE INDEX "PaymentMethod_provider_providerRef_key" ON "PaymentMethod"("provider", "providerRef");
CREATE INDEX "PaymentMethod_userId_idx" ON "PaymentMethod"("userId");
CREATE UNIQUE INDEX "Payment_idempotencyKey_key" ON "Payment"("idempotencyKey");
CREATE INDEX "Payment_userId_idx" ON "Payment"("userId");
CREATE INDEX "Payment_methodId_idx" ON "Payment"("methodId");
CREATE INDEX "Payment_status_idx" ON "Payment"("status");
CREATE INDEX "Payment_createdAt_idx" ON "Payment"("createdAt");
CREATE INDEX "Payment_userId_status_createdAt_idx" ON "Payment"("userId", "status", "createdAt");
CREATE UNIQUE INDEX "Transaction_paymentId_sequence_key" ON "Transaction"("paymentId", "sequence");
CREATE INDEX "Refund_paymentId_idx" ON "Refund"("paymentId");
CREATE UNIQUE INDEX "Refund_transactionId_key" ON "Refund"("transactionId");
CREATE UNIQUE INDEX "_CouponToPayment_AB_unique" ON "_CouponToPayment"("A", "B");
CREATE INDEX "_CouponToPayment_B_index" ON "_CouponToPayment"("B");

-- AddForeignKey
ALTER TABLE "RefreshToken" ADD CONSTRAINT "RefreshToken_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "RefreshToken" ADD CONSTRAINT "RefreshToken_deviceId_fkey" FOREIGN KEY ("deviceId") REFERENCES "Device"("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "RefreshToken" ADD CONSTRAINT "RefreshToken_replacedById_fkey" FOREIGN KEY ("replacedById") REFERENCES "RefreshToken"("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "Device" ADD CONSTRAINT "Device_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "PaymentMethod" ADD CONSTRAINT "PaymentMethod_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Payment" ADD CONSTRAINT "Payment_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "Payment" ADD CONSTRAINT "Payment_methodId_fkey" FOREIGN KEY ("methodId") REFERENCES "PaymentMethod"("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "Transaction" ADD CONSTRAINT "Transaction_paymentId_fkey" FOREIGN KEY ("paymentId") REFERENCES "Payment"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Refund" ADD CONSTRAINT "Refund_paymentId_fkey" FOREIGN KEY ("paymentId") REFERENCES "Payment"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "Refund" ADD CONSTRAINT "Refund_transactionId_fkey" FOREIGN KEY ("transactionId") REFERENCES "Transaction"("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "_CouponToPayment" ADD CONSTRAINT "_CouponToPayment_A_fkey" FOREIGN KEY ("A") REFERENCES "Coupon"("code") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "_CouponToPayment" ADD CONSTRAINT "_CouponToPayment_B_fkey" FOREIGN KEY ("B") REFERENCES "Payment"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Checks that Prisma cannot say, added to the migration by hand
ALTER TABLE "Payment" ADD CONSTRAINT "Payment_amount_check" CHECK ("amount" > 0);
ALTER TABLE "Payment" ADD CONSTRAINT "Payment_currency_check" CHECK ("currency" IN ('EUR', 'USD', 'CHF'));
ALTER TABLE "Payment" ADD CONSTRAINT "Payment_captured_check" CHECK ("status" <> 'CAPTURED' OR "capturedAt" IS NOT NULL);
ALTER TABLE "Refund" ADD CONSTRAINT "Refund_amount_check" CHECK ("amount" > 0 AND "amount" <= 10000);
ALTER TABLE "RefreshToken" ADD CONSTRAINT "RefreshToken_tokenHash_check" CHECK ("tokenHash" ~ '^[0-9a-f]{64}$');
ALTER TABLE "PaymentMethod" ADD CONSTRAINT "PaymentMethod_expMonth_check" CHECK ("expMonth" BETWEEN 1 AND 12);
ALTER TABLE "PaymentMethod" ADD CONSTRAINT "PaymentMethod_exp_check" CHECK (("expMonth" IS NULL) = ("expYear" IS NULL));
ALTER TABLE "Coupon" ADD CONSTRAINT "Coupon_worth_check" CHECK (num_nonnulls("percent", "amount") = 1);
ALTER TABLE "Coupon" ADD CONSTRAINT "Coupon_percent_check" CHECK ("percent" BETWEEN 1 AND 100);
ALTER TABLE "Coupon" ADD CONSTRAINT "Coupon_dates_check" CHECK ("validFrom" <= "validUntil");
ALTER TABLE "Coupon" ADD CONSTRAINT "Coupon_code_check" CHECK ("code" = upper("code") AND "code" <> '');
CREATE UNIQUE INDEX "PaymentMethod_one_default" ON "PaymentMethod"("userId") WHERE "isDefault";
