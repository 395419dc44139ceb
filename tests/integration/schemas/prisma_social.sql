-- Copyright (c) 2026 the dbops.postgres authors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later
-- Posts of authors on several platforms, replies to them and who approved these, as `prisma migrate` writes them, with
-- lookup tables in place of enums that grow. Written for these tests.

-- CreateEnum
CREATE TYPE "Platform" AS ENUM ('TWITTER', 'LINKEDIN', 'REDDIT', 'THREADS');
CREATE TYPE "ApprovalStatus" AS ENUM ('PENDING', 'APPROVED', 'REJECTED', 'EXPIRED');

-- CreateTable
CREATE TABLE "Archetype" (
    "id" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "label" TEXT NOT NULL,
    "position" INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT "Archetype_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "PowerTier" (
    "id" SERIAL NOT NULL,
    "key" TEXT NOT NULL,
    "minFollowers" INTEGER NOT NULL,
    "maxFollowers" INTEGER,
    CONSTRAINT "PowerTier_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "CompetitorCategory" (
    "id" SERIAL NOT NULL,
    "key" TEXT NOT NULL,
    CONSTRAINT "CompetitorCategory_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "KpiType" (
    "key" TEXT NOT NULL,
    "unit" TEXT NOT NULL,
    "higherIsBetter" BOOLEAN NOT NULL DEFAULT true,
    CONSTRAINT "KpiType_pkey" PRIMARY KEY ("key")
);
CREATE TABLE "EscalationReason" (
    "key" TEXT NOT NULL,
    "severity" SMALLINT NOT NULL,
    CONSTRAINT "EscalationReason_pkey" PRIMARY KEY ("key")
);
CREATE TABLE "Author" (
    "id" TEXT NOT NULL,
    "platform" "Platform" NOT NULL,
    "platformId" TEXT NOT NULL,
    "handle" TEXT NOT NULL,
    "followers" INTEGER NOT NULL DEFAULT 0,
    "archetypeId" TEXT,
    "powerTierId" INTEGER NOT NULL,
    "competitorCategoryId" INTEGER,
    "firstSeenAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "Author_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Post" (
    "id" TEXT NOT NULL,
    "platform" "Platform" NOT NULL,
    "platformId" TEXT NOT NULL,
    "authorId" TEXT NOT NULL,
    "parentId" TEXT,
    "content" TEXT NOT NULL,
    "language" CHAR(2),
    "score" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "postedAt" TIMESTAMP(3) NOT NULL,
    "discoveredAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "Post_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Reply" (
    "id" TEXT NOT NULL,
    "postId" TEXT NOT NULL,
    "archetypeId" TEXT NOT NULL,
    "content" VARCHAR(500) NOT NULL,
    "utm" JSONB,
    "status" "ApprovalStatus" NOT NULL DEFAULT 'PENDING',
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "approvedAt" TIMESTAMP(3),
    "expiresAt" TIMESTAMP(3) NOT NULL,
    CONSTRAINT "Reply_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Escalation" (
    "replyId" TEXT NOT NULL,
    "reasonKey" TEXT NOT NULL,
    "note" TEXT,
    CONSTRAINT "Escalation_pkey" PRIMARY KEY ("replyId", "reasonKey")
);
CREATE TABLE "Kpi" (
    "id" BIGSERIAL NOT NULL,
    "typeKey" TEXT NOT NULL,
    "replyId" TEXT NOT NULL,
    "value" DECIMAL(18,6) NOT NULL,
    "measuredAt" TIMESTAMPTZ(3) NOT NULL,
    CONSTRAINT "Kpi_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "Archetype_key_key" ON "Archetype"("key");
CREATE UNIQUE INDEX "PowerTier_key_key" ON "PowerTier"("key");
CREATE UNIQUE INDEX "CompetitorCategory_key_key" ON "CompetitorCategory"("key");
CREATE UNIQUE INDEX "Author_platform_platformId_key" ON "Author"("platform", "platformId");
CREATE UNIQUE INDEX "Author_platform_handle_key" ON "Author"("platform", lower("handle"));
CREATE INDEX "Author_archetypeId_idx" ON "Author"("archetypeId");
CREATE INDEX "Author_powerTierId_idx" ON "Author"("powerTierId");
CREATE INDEX "Author_competitorCategoryId_idx" ON "Author"("competitorCategoryId");
CREATE UNIQUE INDEX "Post_platform_platformId_key" ON "Post"("platform", "platformId");
CREATE INDEX "Post_authorId_idx" ON "Post"("authorId");
CREATE INDEX "Post_parentId_idx" ON "Post"("parentId");
CREATE INDEX "Post_discoveredAt_idx" ON "Post"("discoveredAt" DESC);
CREATE INDEX "Reply_postId_idx" ON "Reply"("postId");
CREATE INDEX "Reply_archetypeId_idx" ON "Reply"("archetypeId");
CREATE INDEX "Reply_status_idx" ON "Reply"("status");
CREATE UNIQUE INDEX "Reply_one_approved" ON "Reply"("postId") WHERE "status" = 'APPROVED';
CREATE INDEX "Escalation_reasonKey_idx" ON "Escalation"("reasonKey");
CREATE UNIQUE INDEX "Kpi_typeKey_replyId_measuredAt_key" ON "Kpi"("typeKey", "replyId", "measuredAt");
CREATE INDEX "Kpi_replyId_idx" ON "Kpi"("replyId");

-- AddForeignKey
ALTER TABLE "Author" ADD CONSTRAINT "Author_archetypeId_fkey" FOREIGN KEY ("archetypeId") REFERENCES "Archetype"("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "Author" ADD CONSTRAINT "Author_powerTierId_fkey" FOREIGN KEY ("powerTierId") REFERENCES "PowerTier"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "Author" ADD CONSTRAINT "Author_competitorCategoryId_fkey" FOREIGN KEY ("competitorCategoryId") REFERENCES "CompetitorCategory"("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "Post" ADD CONSTRAINT "Post_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "Author"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Post" ADD CONSTRAINT "Post_parentId_fkey" FOREIGN KEY ("parentId") REFERENCES "Post"("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "Reply" ADD CONSTRAINT "Reply_postId_fkey" FOREIGN KEY ("postId") REFERENCES "Post"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Reply" ADD CONSTRAINT "Reply_archetypeId_fkey" FOREIGN KEY ("archetypeId") REFERENCES "Archetype"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "Escalation" ADD CONSTRAINT "Escalation_replyId_fkey" FOREIGN KEY ("replyId") REFERENCES "Reply"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Escalation" ADD CONSTRAINT "Escalation_reasonKey_fkey" FOREIGN KEY ("reasonKey") REFERENCES "EscalationReason"("key") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "Kpi" ADD CONSTRAINT "Kpi_typeKey_fkey" FOREIGN KEY ("typeKey") REFERENCES "KpiType"("key") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "Kpi" ADD CONSTRAINT "Kpi_replyId_fkey" FOREIGN KEY ("replyId") REFERENCES "Reply"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Checks that Prisma cannot say, added to the migration by hand
ALTER TABLE "PowerTier" ADD CONSTRAINT "PowerTier_followers_check" CHECK ("minFollowers" >= 0 AND ("maxFollowers" IS NULL OR "maxFollowers" > "minFollowers"));
ALTER TABLE "EscalationReason" ADD CONSTRAINT "EscalationReason_severity_check" CHECK ("severity" BETWEEN 1 AND 5);
ALTER TABLE "EscalationReason" ADD CONSTRAINT "EscalationReason_key_check" CHECK ("key" ~ '^[A-Z][A-Z_]+$');
ALTER TABLE "Author" ADD CONSTRAINT "Author_followers_check" CHECK ("followers" >= 0);
ALTER TABLE "Author" ADD CONSTRAINT "Author_handle_check" CHECK (left("handle", 1) <> '@');
ALTER TABLE "Post" ADD CONSTRAINT "Post_score_check" CHECK ("score" >= 0 AND "score" <= 1);
ALTER TABLE "Post" ADD CONSTRAINT "Post_parent_check" CHECK ("parentId" <> "id");
ALTER TABLE "Reply" ADD CONSTRAINT "Reply_approved_check" CHECK (("status" = 'APPROVED') = ("approvedAt" IS NOT NULL));
ALTER TABLE "Reply" ADD CONSTRAINT "Reply_expires_check" CHECK ("expiresAt" > "createdAt");
ALTER TABLE "Reply" ADD CONSTRAINT "Reply_utm_check" CHECK ("utm" ->> 'source' = "utm" ->> 'medium' OR "utm" ? 'campaign');
